# SPDX-License-Identifier: Apache-2.0
"""`python -m bench.scale [--only NAME,...] [--quick]`: figures of a fleet of many simulated hosts.

A whole run is kept in docs/scale-figures.md.  Exit status 0 when every row was measured, 1 when one is missing.
"""

import argparse
import os
import platform
import signal
import sys
import traceback
from collections.abc import Callable, Mapping

from bench.run import Bench
from bench.scale import measures
from faults.__main__ import bench_of
from faults.table import Row, table, text
from lab.common import TOP

PAGE = TOP / "docs/scale-figures.md"
PARTS: Mapping[str, Callable[[Bench], list[Row]]] = {
    "scheduler": measures.scheduler,
    "lists": measures.lists,
    "hosts": measures.hosts,
    "large": measures.large,
}
HEAD = """\
<!-- Made by `make scale`; do not edit. -->
# Figures of a large fleet

Made by `make scale`: the whole control plane (PostgreSQL, NATS with TLS and credentials, two conductors, two API
processes, HAProxy), the simulated hosts and the load share one machine. docs/scale.md explains what follows from them.

{cpus} CPUs, Linux {linux}, Python {python}. Each section has the load average before and after it.
"""


def measure(name: str, *, quick: bool) -> list[Row]:
    """The rows of one part; when it could not be measured, they have the reason."""
    before = os.getloadavg()[0]
    try:
        with bench_of(quick=quick) as bench:
            bench.say(name)
            rows = PARTS[name](bench)
    except Exception as exc:  # one broken part must not end the others
        traceback.print_exc()
        rows = [Row(name, "It could not be measured.", missing=f"{type(exc).__name__}: {exc}")]
    for row in rows:
        row.load = (before, os.getloadavg()[0])
    print(text(rows), flush=True)
    return rows


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="make scale", description="Measure a fleet of many simulated hosts.")
    parser.add_argument("--only", default="", metavar="NAME,...", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="fewer hosts and instances, shorter; nothing is kept")
    arguments = parser.parse_args()
    names = [name for name in arguments.only.split(",") if name] or list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]}; there are: {', '.join(PARTS)}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # what was started is ended, as by Ctrl-C
    rows = [row for name in names for row in measure(name, quick=arguments.quick)]
    if not arguments.quick and not arguments.only:
        head = HEAD.format(cpus=os.cpu_count(), linux=platform.release(), python=platform.python_version())
        PAGE.write_text("\n".join([head, *table(rows, "part")]).rstrip() + "\n")
    print(f"scale: {sum(row.met for row in rows)} of {len(rows)} rows met")
    return 1 if any(row.missing for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
