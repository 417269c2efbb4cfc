# SPDX-License-Identifier: Apache-2.0
"""The cost that the native thread adds to one native call, compared with eventlet's."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from bench.figures import CannotMeasure, Figure, Series
from bench.processes import end
from bench.run import Bench, Group
from bench.stats import median, ratio
from lab.common import COMPARED, TOP, environment

URI = "test:///default"
PER_SAMPLE = 50
WARM_UP = 3
PLACES = 20
"""Of our pool: as many threads as eventlet's pool has by default."""


class Tpool:
    """A process that makes calls through eventlet's tpool on request."""

    def __init__(self, requests: IO[str], replies: IO[str]) -> None:
        self._requests, self._replies = requests, replies
        self._read("ready")

    def call(self, mode: str) -> float:
        """Microseconds per call of `PER_SAMPLE` calls, in "turns" or as a "batch"."""
        self._requests.write(f"{mode} {PER_SAMPLE}\n")
        self._requests.flush()
        return float(self._read())

    def _read(self, wanted: str | None = None) -> str:
        line = self._replies.readline().strip()
        if not line or (wanted is not None and line != wanted):
            raise CannotMeasure(f"the process with eventlet does not answer: {line!r}")
        return line


@contextmanager
def tpool() -> Generator[Tpool]:
    """That process, gone afterwards.  It sees the service's libraries and eventlet; we never see eventlet."""
    places = [str(path) for path in COMPARED.glob("lib/python3*/site-packages")]
    if not places:
        raise CannotMeasure("eventlet is not installed: make bench sets it up.")
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "bench.tpool_child"],
        cwd=TOP,
        env=environment({"PYTHONPATH": ":".join(places)}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        with child.stdin, child.stdout:
            yield Tpool(child.stdin, child.stdout)
    finally:
        end(child, 5.0)


@dataclass(slots=True)
class _Times:
    """Microseconds per call of each sample; `cpu_us` is the cost of the native thread."""

    straight: list[float] = field(default_factory=list[float])
    hopped: list[float] = field(default_factory=list[float])
    batch: list[float] = field(default_factory=list[float])
    tpool: list[float] = field(default_factory=list[float])
    tpool_batch: list[float] = field(default_factory=list[float])
    cpu_us: float = 0.0


async def _batch(call: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(PER_SAMPLE):
            group.create_task(_one(call))


async def _one(call: Callable[[], Awaitable[object]]) -> None:
    await call()


async def _run(n: int, theirs: Tpool) -> _Times:
    """`n` samples of each, in turns."""
    import libvirt

    from kilonova.virt.calls.pool import CallPools

    threads = CallPools("bench")
    conn = libvirt.open(URI)
    proxy = threads.pool("bench", PLACES).wrap(conn, (libvirt.virConnect, libvirt.virDomain))
    times = _Times()
    try:
        for turn in range(n + WARM_UP):
            if turn == WARM_UP:
                times = _Times()
            cpu_begun, begun = time.process_time(), time.perf_counter()
            for _ in range(PER_SAMPLE):
                conn.getLibVersion()
            middle, cpu_middle = time.perf_counter(), time.process_time()
            for _ in range(PER_SAMPLE):
                await proxy.getLibVersion()
            cpu_ended, ended = time.process_time(), time.perf_counter()
            await _batch(proxy.getLibVersion)
            times.batch.append((time.perf_counter() - ended) / PER_SAMPLE * 1e6)
            times.straight.append((middle - begun) / PER_SAMPLE * 1e6)
            times.hopped.append((ended - middle) / PER_SAMPLE * 1e6)
            times.cpu_us += (cpu_ended - cpu_middle - (cpu_middle - cpu_begun)) / n / PER_SAMPLE * 1e6
            times.tpool.append(theirs.call("turns"))
            times.tpool_batch.append(theirs.call("batch"))
    finally:
        threads.close()
    return times


def _measure(bench: Bench) -> Iterator[Figure]:
    try:
        import uvloop
    except ImportError as exc:
        raise CannotMeasure("uvloop is not installed.") from exc
    with tpool() as theirs:
        times = uvloop.run(_run(bench.n(100, 30), theirs))
    bare = median(times.straight)
    by_turns = [ours / theirs for ours, theirs in zip(times.hopped, times.tpool, strict=True)]
    by_batch = [ours / theirs for ours, theirs in zip(times.batch, times.tpool_batch, strict=True)]
    yield Figure(
        "native_hop_us",
        [sample - bare for sample in times.hopped],
        f"await proxy.getLibVersion() on {URI} under uvloop, less the median of the same direct call; a sample is "
        f"the mean of {PER_SAMPLE} calls, in turns with the control and with eventlet's tpool in a process of its own",
        Series("the same direct call", times.straight, "us"),
        {
            "cpu": Series("CPU that the native thread adds", [times.cpu_us], "CPU-us"),
            "tpool": Series("the same call by eventlet's tpool.proxy_call, one after another", times.tpool, "us"),
            "over_tpool": Series(
                "ours, one after another, over eventlet's", by_turns, "ratio", ratio(times.hopped, times.tpool)
            ),
            "batch": Series(f"ours, {PER_SAMPLE} requested at once, {PLACES} threads", times.batch, "us"),
            "tpool_batch": Series(f"eventlet's, {PER_SAMPLE} green threads at once", times.tpool_batch, "us"),
            "batch_over_tpool": Series(
                "our batch over eventlet's", by_batch, "ratio", ratio(times.batch, times.tpool_batch)
            ),
        },
    )


GROUP = Group(("native_hop_us",), _measure)
