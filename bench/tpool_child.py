# SPDX-License-Identifier: Apache-2.0
"""eventlet's way off its loop, in a process of its own: `python -m bench.tpool_child`.

For each line on stdin, "turns" or "batch" with a count, it makes so many calls of the same libvirt function through
`tpool.proxy_call`, one after another or all requested at once, and prints the microseconds that one took on average.
"""

import sys
import time

import libvirt
from eventlet import GreenPool, tpool

from bench.native import URI


def main() -> None:
    """Until stdin ends."""
    conn = libvirt.open(URI)
    autowrap = (libvirt.virConnect, libvirt.virDomain)
    pool = GreenPool(1000)

    def call() -> None:
        tpool.proxy_call(autowrap, conn.getLibVersion)

    print("ready", flush=True)
    for line in sys.stdin:
        mode, count = line.split()
        begun = time.perf_counter()
        if mode == "turns":
            for _ in range(int(count)):
                call()
        else:
            for _ in range(int(count)):
                pool.spawn(call)
            pool.waitall()
        print((time.perf_counter() - begun) / int(count) * 1e6, flush=True)


if __name__ == "__main__":
    main()
