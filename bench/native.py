# SPDX-License-Identifier: Apache-2.0
"""What the way off the event loop adds to one native call."""

import time
from collections.abc import Iterator

from bench.figures import CannotMeasure, Figure, Series
from bench.run import Bench, Group
from bench.stats import median

URI = "test:///default"
PER_SAMPLE = 50


async def _run(n: int) -> tuple[list[float], list[float], float]:
    """Microseconds per call of `n` samples each, straight and hopped in turns; and CPU-us that a hop adds."""
    import libvirt

    from kilonova.virt.native import NativeThreads

    threads = NativeThreads("bench")
    lane = threads.lane("bench", 2)
    conn = libvirt.open(URI)
    proxy = lane.wrap(conn, (libvirt.virConnect, libvirt.virDomain))
    straight: list[float] = []
    hopped: list[float] = []
    cpu = 0.0
    try:
        for _ in range(n + 3):
            cpu_begun, begun = time.process_time(), time.perf_counter()
            for _ in range(PER_SAMPLE):
                conn.getLibVersion()
            middle, cpu_middle = time.perf_counter(), time.process_time()
            for _ in range(PER_SAMPLE):
                await proxy.getLibVersion()
            straight.append((middle - begun) / PER_SAMPLE * 1e6)
            hopped.append((time.perf_counter() - middle) / PER_SAMPLE * 1e6)
            cpu += time.process_time() - cpu_middle - (cpu_middle - cpu_begun)
    finally:
        threads.close()
    return straight[3:], hopped[3:], cpu / (n + 3) / PER_SAMPLE * 1e6


def _measure(bench: Bench) -> Iterator[Figure]:
    try:
        import uvloop
    except ImportError as exc:
        raise CannotMeasure("uvloop is not installed.") from exc
    straight, hopped, cpu = uvloop.run(_run(bench.n(100, 30)))
    bare = median(straight)
    yield Figure(
        "native_hop_us",
        [sample - bare for sample in hopped],
        f"await proxy.getLibVersion() on {URI} under uvloop, less the median of the same call straight; a sample is "
        f"the mean of {PER_SAMPLE} calls, in turns with the control",
        Series("the same call straight", straight, "us"),
        {"cpu": Series("CPU that a hop adds", [cpu], "CPU-us")},
    )


GROUP = Group(("native_hop_us",), _measure)
