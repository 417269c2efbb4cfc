# SPDX-License-Identifier: Apache-2.0
"""From the start of a process until it is ready."""

import contextlib
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench import processes
from bench.box import FAKE, LIBVIRT, STOP_S, Box
from bench.figures import CannotMeasure, Figure, Series
from bench.run import Bench, Group
from lab.common import VENV, LabError, environment, tail
from lab.libvirtd import PrivateLibvirtd

BARE = (
    "import starlette, uvicorn, uvloop, httptools, pydantic, sqlalchemy, structlog, oslo_config.cfg, jwt, argon2, typer"
)
"""The libraries that the box cannot do without."""
LIMIT_S = 60.0


def bare_start_s(libraries: str = BARE) -> float:
    """Seconds that the same interpreter takes to start, import the libraries and end."""
    env = environment({"PYTHONDONTWRITEBYTECODE": None, "PYTHONPATH": None})
    begun = time.perf_counter()
    subprocess.run(
        [str(VENV / "bin/python"), "-c", libraries],
        check=True,
        timeout=LIMIT_S,
        cwd="/",
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    return time.perf_counter() - begun


class _Kind:
    """Starts of one kind of box, on a state that is fresh or existing."""

    def __init__(self, bench: Bench, driver: str, uri: str | None) -> None:
        self._bench, self._driver, self._uri = bench, driver, uri
        self.fresh: list[float] = []
        self.existing: list[float] = []
        self.cpu: list[float] = []
        self._kept = bench.directory()
        self._once(self._kept)

    def _once(self, directory: Path) -> Box:
        with Box(directory, driver=self._driver, uri=self._uri, limit_s=LIMIT_S) as box:
            return box

    def round(self) -> None:
        self.fresh.append(self._once(self._bench.directory()).ready_s)
        box = self._once(self._kept)
        self.existing.append(box.ready_s)
        self.cpu.append(box.ready_cpu_s)


def _measure(bench: Bench) -> Iterator[Figure]:
    n = bench.n(9, 5)
    bare: list[float] = []
    with contextlib.ExitStack() as stack:
        kinds = {"fake": _Kind(bench, FAKE, None)}
        try:
            daemon = stack.enter_context(PrivateLibvirtd(bench.directory()))
        except LabError as exc:
            raise CannotMeasure(f"No private libvirtd: {exc.sentence}") from exc
        kinds["libvirt"] = _Kind(bench, LIBVIRT, daemon.uri)
        bare_start_s()
        for number in range(n):
            bare.append(bare_start_s())
            for kind in kinds.values():
                kind.round()
            bench.say(f"start {number + 1}/{n}: " + ", ".join(f"{k} {v.existing[-1]:.2f} s" for k, v in kinds.items()))
    variants: dict[str, Series] = {}
    for name, kind in kinds.items():
        variants[f"{name}_existing"] = Series(f"{name} driver, existing state", kind.existing, "s")
        variants[f"{name}_fresh"] = Series(f"{name} driver, fresh state (schema, administrator)", kind.fresh, "s")
    worst = max(variants.values(), key=lambda series: series.value)
    for name, kind in kinds.items():
        variants[f"{name}_cpu"] = Series(f"CPU-s until ready, {name} driver, existing state", kind.cpu, "CPU-s")
    yield Figure(
        "ready_s",
        worst.samples,
        f"kilonova up: start of the process to /readyz 200; the worst of four kinds ({worst.what})",
        Series("the same interpreter started to import the libraries, without our code", bare, "s"),
        variants,
    )


COMPUTE_CONFIG = """\
[DEFAULT]
state_path = {state}
compute_driver = {driver}
[libvirt]
connection_uri = {uri}
[conductor]
use_local = true
"""


def compute_ready(directory: Path, driver: str, uri: str) -> tuple[float, float]:
    """Seconds, and CPU-seconds, from the start of kilonova-compute with a conductor of its own until it says that it
    is ready.  Raises CannotMeasure."""
    config, log = directory / "compute.conf", directory / "compute.log"
    config.write_text(COMPUTE_CONFIG.format(state=directory / "state", driver=driver, uri=uri))
    env = environment({"PYTHONDONTWRITEBYTECODE": None, "PYTHONPATH": None, "PYTHONUNBUFFERED": "1"})
    with log.open("ab") as errors:
        begun = time.perf_counter()
        process = subprocess.Popen(
            [str(VENV / "bin/kilonova-compute"), "--config-file", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=env,
            cwd="/",
            start_new_session=True,
        )
    try:
        _wait_for_line(process, "kilonova-compute ready", log)
        return time.perf_counter() - begun, processes.cpu_seconds(process.pid)
    finally:
        processes.end(process, STOP_S)
        if process.stdout is not None:
            process.stdout.close()


def _wait_for_line(process: "subprocess.Popen[bytes]", words: str, log: Path) -> None:
    assert process.stdout is not None
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if not select.select([process.stdout], [], [], 1.0)[0]:
            continue
        line = process.stdout.readline()
        if not line:
            raise CannotMeasure(f"kilonova-compute ended before it was ready: {tail(log, 1)}")
        if words in line.decode(errors="replace"):
            return
    raise CannotMeasure(f"kilonova-compute was not ready within {LIMIT_S:g} s")


def _measure_compute(bench: Bench) -> Iterator[Figure]:
    if not (VENV / "bin/kilonova-compute").exists():
        raise CannotMeasure("There is no kilonova-compute yet.")
    n = bench.n(9, 5)
    bare: list[float] = []
    kinds: dict[str, list[tuple[float, float]]] = {"fake": [], "libvirt": []}
    with contextlib.ExitStack() as stack:
        try:
            daemon = stack.enter_context(PrivateLibvirtd(bench.directory()))
        except LabError as exc:
            raise CannotMeasure(f"No private libvirtd: {exc.sentence}") from exc
        kept = {name: bench.directory() for name in kinds}
        drivers = {"fake": (FAKE, ""), "libvirt": (LIBVIRT, daemon.uri)}
        for number in range(n + 1):
            bare.append(bare_start_s())
            for name, (driver, uri) in drivers.items():
                taken = compute_ready(kept[name], driver, uri)
                if number > 0:  # the first one made the state
                    kinds[name].append(taken)
    variants = {
        name: Series(f"{name} driver, existing state", [s for s, _ in rows], "s") for name, rows in kinds.items()
    }
    worst = max(variants.values(), key=lambda series: series.value)
    for name, rows in kinds.items():
        variants[f"{name}_cpu"] = Series(f"CPU-s until ready, {name} driver", [cpu for _, cpu in rows], "CPU-s")
    yield Figure(
        "ready_compute_s",
        worst.samples,
        "kilonova-compute with [conductor] use_local=true: start of the process to `kilonova-compute ready`; the worse "
        "of both drivers",
        Series("the same interpreter started to import the one box's libraries", bare, "s"),
        variants,
    )


GROUP = Group(("ready_s",), _measure)
COMPUTE = Group(("ready_compute_s",), _measure_compute)
