# SPDX-License-Identifier: Apache-2.0
"""A box on a private daemon, and the requests to it during a fault."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.box import FLAVOR, LIBVIRT, Box
from bench.figures import CannotMeasure
from bench.processes import cpu_seconds
from bench.run import Bench
from bench.web import Answer, Web
from lab.common import BUILD
from lab.daemon import Daemon
from lab.guest_image import IMAGE
from lab.libvirtd import PrivateLibvirtd

INTERVAL_S, COUNT = 1, 3
KEEPALIVE_S = INTERVAL_S * (COUNT + 1.0)
"""The last answered message, COUNT unanswered ones, and the moment at which the next would be due."""

CONFIG = f"""\
[DEFAULT]
report_interval = 1
cpu_allocation_ratio = 16
service_down_time = 3
[libvirt]
virt_type = qemu
guest_pulse_interval = 2
guest_pulse_timeout = 2
keepalive_interval = {INTERVAL_S}
keepalive_count = {COUNT}
"""
"""A host that misses three heartbeats of one second is shown as down; a guest is probed every two seconds (the default
is a minute), with a patience of two seconds."""

SERVERS = "/compute/v2.1/servers"


def wait_for(what: Callable[[], Any], within_s: float, name: str) -> Any:
    """The first true answer.  Raises CannotMeasure."""
    end = time.monotonic() + within_s
    while not (answer := what()):
        if time.monotonic() > end:
            raise CannotMeasure(f"{name} did not come about within {within_s:g} s")
        time.sleep(0.01)
    return answer


def timed(what: Callable[[], Any], within_s: float, name: str) -> float:
    """Seconds until the first true answer.  Raises CannotMeasure."""
    begun = time.perf_counter()
    wait_for(what, within_s, name)
    return time.perf_counter() - begun


@dataclass(slots=True)
class Scene:
    """A daemon and a box on it."""

    bench: Bench
    daemon: Daemon
    box: Box
    clients: list[Web] = field(default_factory=list[Web])

    def web(self) -> Web:
        """A client of its own, for another thread."""
        self.clients.append(Web(self.box.port, self.box.token))
        return self.clients[-1]

    def hang_up(self) -> None:
        """End the clients' connections; the box would keep them for a while."""
        for client in self.clients:
            client.close()
        self.clients.clear()

    def image(self) -> str:
        return self.box.upload("guest", IMAGE.read_bytes(), "qcow2")

    def create(self, image: str, name: str = "guest", web: Web | None = None, flavor: str = FLAVOR) -> str:
        body = {"server": {"name": name, "imageRef": image, "flavorRef": flavor, "networks": "auto"}}
        return (web or self.box.web).expect(202, "POST", SERVERS, body).json()["server"]["id"]

    def show(self, server: str, web: Web | None = None) -> dict[str, Any] | None:
        answer = (web or self.box.web)("GET", f"{SERVERS}/{server}")
        return answer.json()["server"] if answer.status == 200 else None

    def active(self, *servers: str, within_s: float = 90) -> None:
        """Wait until all are; raises CannotMeasure."""
        for server in servers:
            wait_for(lambda one=server: self._is_active(one), within_s, f"ACTIVE of {server}")

    def _is_active(self, server: str) -> bool:
        shown = self.show(server) or {}
        if shown.get("status") == "ERROR":
            raise CannotMeasure(f"{server} is in ERROR: {shown.get('fault', {}).get('message')}")
        return shown.get("status") == "ACTIVE"

    def service(self, web: Web | None = None) -> dict[str, Any]:
        """The compute service as the API shows it."""
        answer = (web or self.box.web).expect(200, "GET", "/compute/v2.1/os-services?binary=kilonova-compute")
        return answer.json()["services"][0]

    def ready(self) -> bool:
        return self.box.web("GET", "/readyz").status == 200

    def console(self, server: str, web: Web | None = None) -> Answer:
        """A request that reads a guest from the hypervisor, over all parts: API, conductor's bus, host, libvirt."""
        return (web or self.box.web)("POST", f"{SERVERS}/{server}/action", {"os-getConsoleOutput": {"length": 1}})

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.box.process.pid}/task"))

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.box.process.pid}/fd"))

    def domains(self) -> list[str]:
        """Every domain of the daemon, of any owner."""
        argv = ["virsh", "--quiet", "--connect", self.daemon.uri, "list", "--all", "--uuid"]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout.split()

    def actions(self, server: str, web: Web | None = None) -> list[dict[str, Any]]:
        """The actions of a server, newest first."""
        answer = (web or self.box.web).expect(200, "GET", f"{SERVERS}/{server}/os-instance-actions")
        return answer.json()["instanceActions"]

    def guests_claimed(self) -> int:
        """The number of guests for which the host has space; shown up to 2.87."""
        web = Web(self.box.port, self.box.token, version="2.87")
        (node,) = web.expect(200, "GET", "/compute/v2.1/os-hypervisors/detail").json()["hypervisors"]
        web.close()
        return int(node["running_vms"])

    def pid(self, server: str) -> int:
        """The process id of a server's QEMU."""
        return next(pid for name, pid in self.daemon.guests().items() if server in name)


def quiet(here: Scene, servers: Sequence[str]) -> None:
    """Wait until the guests have booted and the box has no open work: this time must not count as latency."""

    def resting() -> bool:
        pids = [here.box.process.pid, *(here.pid(server) for server in servers)]
        before = sum(map(cpu_seconds, pids))
        time.sleep(1)
        return sum(map(cpu_seconds, pids)) - before < 0.5

    wait_for(resting, 180, "guests at rest")


@contextmanager
def scene(
    bench: Bench,
    *,
    uri: str | None = None,
    ready: bool = True,
    config: str = "",
    daemon_of: Callable[[Path], Daemon] = PrivateLibvirtd,
) -> Generator[Scene]:
    """A daemon and a box in a directory of their own; both are gone afterwards.  `ready` False: the box is started on
    `uri`, without a wait for its hypervisor."""
    directory = bench.directory()
    daemon = daemon_of(bench.directory())
    try:
        daemon.start()
        box = Box(directory, driver=LIBVIRT, uri=uri or daemon.qemu_uri, config=CONFIG + config)
        try:
            box.start(wait_ready=ready)
            here = Scene(bench, daemon, box)
            yield here
            here.hang_up()
        finally:
            if daemon.alive:
                daemon.thaw()
            box.stop()
            _keep(box.log, daemon.log)
    finally:
        daemon.remove()


LOGS = BUILD / "faults"


def _keep(*logs: Path) -> None:
    """Keeps the log of the newest scene after its end."""
    LOGS.mkdir(exist_ok=True)
    for log in logs:
        with suppress(FileNotFoundError):
            shutil.copyfile(log, LOGS / log.name)


def paced(ask: Callable[[], Answer], n: int, at_least_s: float = 0.0, pause_s: float = 0.002) -> list[float]:
    """Durations in ms of `n` requests one after another, and for so many seconds; each must be answered well."""
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < n or time.perf_counter() - begun < at_least_s:
        start = time.perf_counter()
        answer = ask()
        times.append((time.perf_counter() - start) * 1000)
        if answer.status >= 300:
            raise CannotMeasure(f"A request was answered {answer.status}: {answer.data[:200].decode(errors='replace')}")
        time.sleep(pause_s)
    return times


class Crowd:
    """Callers in threads; each notes how its call ended and after how many seconds."""

    def __init__(self, callers: int, call: Callable[[int], int]) -> None:
        self.ended: list[tuple[int, float]] = []
        self._threads = [threading.Thread(target=self._run, args=(call, n), daemon=True) for n in range(callers)]
        for thread in self._threads:
            thread.start()

    def _run(self, call: Callable[[int], int], n: int) -> None:
        begun = time.perf_counter()
        status = call(n)
        self.ended.append((status, time.perf_counter() - begun))

    def join(self, limit_s: float) -> int:
        """How many have not come back."""
        end = time.monotonic() + limit_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return sum(thread.is_alive() for thread in self._threads)


class Watch:
    """Reads a value every few milliseconds, in a thread, until the block ends; `seen` has every value."""

    def __init__(self, look: Callable[[], Any], pause_s: float = 0.02) -> None:
        self.seen: list[tuple[float, Any]] = []
        self._look, self._pause_s = look, pause_s
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._end.wait(self._pause_s):
            self.seen.append((time.perf_counter(), self._look()))

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(30)

    def values(self) -> list[Any]:
        return [value for _, value in self.seen]


def files_of(scene: Scene, server: str) -> list[Path]:
    """Everything on disk that belongs to a server."""
    return [path for path in scene.box.state.rglob("*") if server in str(path)]
