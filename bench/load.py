# SPDX-License-Identifier: Apache-2.0
"""Load on a box: the load script as a child process, the constant route as its control, wrk for high rates."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.box import FLAVOR, Box, Cloud
from bench.figures import CannotMeasure, Series
from lab.common import TOP, environment

CONSTANT = "/healthz"
"""The route that does nothing: what a request costs before any work of ours."""


def run_load(box: Cloud, image: str, phases: str, *, limit_s: float, **options: float | str) -> dict[str, Any]:
    """One run of the load script on the fake driver; its JSON.  Options are the script's own, `_` for `-`; `limit_s`
    bounds the whole run.  Raises CannotMeasure, also when any request failed."""
    pids = ",".join(f"{name}={pid}" for name, pid in box.roots().items())
    words = [sys.executable, "-m", "bench.raw_load", "--endpoint", box.endpoint, "--token", box.token]
    words += ["--image", image, "--flavor", FLAVOR, "--phases", phases, "--pids", pids]
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    output = child(words, limit_s)
    result: dict[str, Any] = json.loads(output)
    if "errors" in result:
        raise CannotMeasure(f"The load script met errors: {result['errors']}")
    return result


def child(words: Sequence[str], limit_s: float) -> bytes:
    """The output of a child process; the process has ended when this returns.  Raises CannotMeasure."""
    with subprocess.Popen(
        words,
        cwd=TOP,
        # Requests to the loopback must not use a proxy.
        env=environment({"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": None}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            output, complaint = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise CannotMeasure(f"{Path(words[0]).name} was not done within {limit_s:g} s") from None
        finally:
            if process.poll() is None:
                process.kill()
    if process.returncode != 0:
        last = complaint.decode(errors="replace").strip().splitlines()[-1:]
        raise CannotMeasure(f"{Path(words[0]).name} ended with status {process.returncode}: {''.join(last)}")
    return output


def all_active(result: Mapping[str, Any], count: int) -> None:
    """Raises CannotMeasure unless every server came up: a rate of failures means nothing."""
    if result["states"] != {"ACTIVE": count}:
        raise CannotMeasure(f"Of {count} servers the end states are {result['states']}")


def servers(box: Cloud, image: str, count: int, limit_s: float) -> None:
    """Make so many servers by 20 clients, and leave them."""
    options = {"count": count, "concurrency": 20, "poll": 0.05, "timeout": limit_s}
    result = run_load(box, image, "create", limit_s=limit_s + 30, **options)
    all_active(result["create"], count)


def constant_ms(box: Cloud, n: int) -> list[float]:
    """Durations in ms of `n` sequential requests of the constant route, by the client that the load script uses."""

    async def ask() -> list[float]:
        times: list[float] = []
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            for _ in range(n):
                begun = time.perf_counter()
                reply = await client.get(box.url + CONSTANT)
                times.append((time.perf_counter() - begun) * 1000)
                reply.raise_for_status()
        return times

    return asyncio.run(ask())


def constant_rate(box: Cloud, n: int, clients: int) -> float:
    """Requests per second of the constant route by so many clients of that kind in one process: their own ceiling."""

    async def ask() -> float:
        limits = httpx.Limits(max_connections=clients + 4)
        todo = iter(range(n))
        async with httpx.AsyncClient(timeout=30, limits=limits, trust_env=False) as client:

            async def one() -> None:
                for _ in todo:
                    (await client.get(box.url + CONSTANT)).raise_for_status()

            begun = time.perf_counter()
            async with asyncio.TaskGroup() as tasks:
                for _ in range(clients):
                    tasks.create_task(one())
            return n / (time.perf_counter() - begun)

    return asyncio.run(ask())


def constant_control(samples: Sequence[float]) -> Series:
    """The control of latencies over HTTP."""
    return Series(f"GET {CONSTANT} of the same box by the same client, sequential", samples, "ms")


@dataclass(frozen=True, slots=True)
class Burst:
    """A stretch of load by wrk: requests per second, and CPU-milliseconds of the box per request."""

    rate: float
    cpu_ms: float
    p50_ms: float


SCRIPT = """\
local ids = {{ {ids} }}
local i = 0
request = function()
  i = i % #ids + 1
  return wrk.format("GET", "{prefix}" .. ids[i])
end
done = function(summary, latency, requests)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format("\\nRESULT %d %d %d %d\\n", summary.requests, summary.duration, bad, latency:percentile(50)))
end
"""


def wrk(box: Box, directory: Path, prefix: str, ids: Sequence[str], seconds: int, connections: int = 16) -> Burst:
    """Load by wrk on `prefix` followed by each id in turn.  Raises CannotMeasure, also when an answer was no 2xx."""
    program = shutil.which("wrk")
    if program is None:
        raise CannotMeasure("wrk is not installed (apt-get install wrk).")
    script = directory / "load.lua"
    script.write_text(SCRIPT.format(ids=", ".join(f'"{one}"' for one in ids), prefix=prefix))
    words = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script)]
    words += ["-H", f"X-Auth-Token: {box.token}", "-H", "OpenStack-API-Version: compute 2.90", box.url]
    before = box.cpu_seconds()
    output = child(words, seconds + 30).decode()
    spent = box.cpu_seconds() - before
    found = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+)$", output, re.MULTILINE)
    if found is None:
        raise CannotMeasure("wrk printed no result that could be read.")
    requests, microseconds, bad, p50 = map(int, found.groups())
    if bad or not requests:
        raise CannotMeasure(f"Of {requests} requests by wrk {bad} failed.")
    return Burst(requests / (microseconds / 1e6), spent * 1000 / requests, p50 / 1000)
