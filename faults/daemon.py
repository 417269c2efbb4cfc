# SPDX-License-Identifier: Apache-2.0
"""libvirtd frozen, killed, or restarted repeatedly."""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from bench.figures import CannotMeasure
from bench.run import Bench
from bench.web import Web
from faults.lab import KEEPALIVE_S, SERVERS, Crowd, Scene, Watch, files_of, paced, quiet, scene, timed, wait_for
from faults.table import Row, Samples
from kilonova.base.threads import IDLE_S

HELD = "in a start that no process continues"
CALLERS = 8
ANSWERED_S = KEEPALIVE_S + 0.5
BACK_S = 2.0


def frozen(bench: Bench) -> Row:
    """libvirtd SIGSTOP."""
    row = Row(
        "libvirtd SIGSTOP", f"{CALLERS} console requests at the moment of the freeze, GETs of a server meanwhile."
    )
    with scene(bench) as here:
        server = here.create(here.image())
        here.active(server)
        n = bench.n(1000, 150)
        get = lambda: here.box.web("GET", f"{SERVERS}/{server}")  # noqa: E731
        paced(get, 50)
        quiet(here, [server])
        before = _watched(here, lambda: paced(get, n))
        webs = [here.web() for _ in range(CALLERS)]
        threads = here.threads()
        here.daemon.freeze()
        spent = here.box.cpu_seconds()
        began = time.perf_counter()
        crowd = Crowd(CALLERS, lambda one: here.console(server, webs[one]).status)
        frozen = _watched(here, lambda: paced(get, n, at_least_s=KEEPALIVE_S + 1))
        left = crowd.join(30)
        wait_for(lambda: here.service()["status"] == "disabled", 10, "the disabled host")
        cpu = (here.box.cpu_seconds() - spent) / (time.perf_counter() - began)
        more = here.threads() - threads
        here.daemon.thaw()
        back = timed(lambda: here.service()["status"] == "enabled" and here.ready(), 30, "a host in service again")
        quiet(here, [server])
        after = _watched(here, lambda: paced(get, n))
        control = before.times + after.times
        waits = [seconds for _, seconds in crowd.ended]
    row.none(f"of {CALLERS} callers, not answered at all", left)
    row.most("every caller answered within keepalive's bound + 0.5 s", max(waits, default=99), ANSWERED_S, "s")
    row.most("longest wait for the loop (max of /healthz, its HTTP included)", max(frozen.loop), 100, "ms")
    row.none("heartbeats missed (looks at which the host was down)", sum(state != "up" for state in frozen.heart))
    row.ratio("p99 of other requests over the control's", frozen.times, control, 1.5)
    row.most("in service again after SIGCONT", back, BACK_S, "s")
    row.series += [
        Samples("callers of the frozen daemon", "s", waits),
        Samples("GET of a server meanwhile", "ms", frozen.times),
        Samples("control: the same before and after", "ms", control),
        Samples("/healthz meanwhile", "ms", frozen.loop),
        Samples("control: /healthz before and after", "ms", before.loop + after.loop),
        Samples("CPU-seconds of the box per second of the freeze", "", [cpu]),
        Samples("threads more than before, at its end", "", [more]),
    ]
    return row


@dataclass(frozen=True, slots=True)
class _Watched:
    """The measurements during some requests: their durations and those of /healthz in ms; the host's states."""

    times: list[float]
    loop: list[float]
    heart: list[str]


def _watched(here: Scene, ask: Callable[[], list[float]]) -> _Watched:
    """The fault and its control are watched in the same way, because watching is load."""
    watched, pulse = here.web(), here.web()
    with Watch(lambda: here.service(watched)["state"]) as heart, Watch(lambda: _ms(pulse)) as stethoscope:
        times = ask()
    return _Watched(times, [float(ms) for ms in stethoscope.values()], heart.values())


def _ms(web: Web) -> float:
    begun = time.perf_counter()
    web.expect(200, "GET", "/healthz")
    return (time.perf_counter() - begun) * 1000


def killed(bench: Bench) -> Row:
    """libvirtd SIGKILL, back after 5 s."""
    row = Row("libvirtd SIGKILL, back after 5 s", "Two guests run; statuses are looked at all the while.")
    rounds = bench.n(5, 1)
    off, lost, down, back, shown = 0, 0, list[float](), list[float](), 0
    with scene(bench) as here:
        image = here.image()
        servers = [here.create(image, f"guest-{one}") for one in range(2)]
        here.active(*servers)
        before = [here.pid(server) for server in servers]
        web = here.web()
        with Watch(lambda: [(here.show(server, web) or {}).get("status") for server in servers]) as watch:
            for _ in range(rounds):
                begun = time.perf_counter()
                here.daemon.kill()
                wait_for(lambda: here.service()["status"] == "disabled", 15, "the disabled host")
                down.append(time.perf_counter() - begun)
                time.sleep(max(0.0, 5 - (time.perf_counter() - begun)))
                here.daemon.start()
                begun = time.perf_counter()
                wait_for(lambda: here.service()["status"] == "enabled" and here.ready(), 30, "the enabled host")
                back.append(time.perf_counter() - begun)
        shown = len(watch.seen)
        off = sum(set(statuses) != {"ACTIVE"} for statuses in watch.values())
        lost = sum(pid not in here.daemon.guests().values() for pid in before)
    row.none("guests that did not run on", lost)
    row.true("disabled while it was away", len(down) == rounds, f"after {max(down):.2f} s at most")
    row.most("enabled again after its return (its first answer to virsh)", max(back), BACK_S, "s")
    row.none(f"of {shown} looks, those that showed a guest as not ACTIVE", off)
    row.series += [
        Samples("kill to disabled", "s", down),
        Samples("return to enabled", "s", back),
    ]
    return row


class _Worker:
    """Makes, reboots and deletes a server, repeatedly, and counts the results. It requests a new server only when the
    host is in service: otherwise the host refuses, and neither reboot nor delete would be tried."""

    def __init__(self, here: Scene, image: str, number: int, stop: threading.Event) -> None:
        self._here, self._image, self._number, self._stop = here, image, number, stop
        self._web: Web = here.web()
        self.made, self.rebooted, self.deleted, self.refused = 0, 0, 0, 0
        self.held: set[str] = set()
        self.stuck: list[str] = []
        self.lost: list[str] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._one()
            except CannotMeasure as exc:
                self.stuck.append(str(exc))
            except Exception as exc:
                self.stuck.append(f"{type(exc).__name__}: {exc}")

    @property
    def ended(self) -> int:
        """Operations that were completed."""
        return self.made + self.rebooted + self.deleted

    def _one(self) -> None:
        in_service = lambda: self._here.service(self._web)["status"] == "enabled"  # noqa: E731
        wait_for(lambda: in_service() or self._stop.is_set(), 60, "a host in service")
        if self._stop.is_set():
            return
        server = self._here.create(self._image, f"w{self._number}", self._web)
        if self._settled(server) == "ERROR":
            self._judge(server)
        else:
            self.made += 1
            body = {"reboot": {"type": "HARD"}}
            self._web.expect(202, "POST", f"{SERVERS}/{server}/action", body)
            status = self._settled(server)
            if status == "ACTIVE":
                self.rebooted += 1
            elif not self._is_held(server):
                self.lost.append(f"{server} is {status} after its reboot: {self._last_message(server)}")
        self._web.expect(204, "DELETE", f"{SERVERS}/{server}")
        if self._settled(server) is None:
            self.deleted += 1
        elif not self._is_held(server):
            self.lost.append(f"{server} is there after its deletion: {self._last_message(server)}")

    def _judge(self, server: str) -> None:
        """A host out of service refuses new servers, with its reason; any other end of a create is a loss."""
        message = str((self._here.show(server, self._web) or {}).get("fault", {}).get("message", ""))
        if "No valid host" in message:
            self.refused += 1
        elif not self._is_held(server):
            self.lost.append(f"{server}: {message}")

    def _last_message(self, server: str) -> str:
        return "; ".join(f"{one['action']}: {one['message']}" for one in self._here.actions(server, self._web)[:3])

    def _is_held(self, server: str) -> bool:
        """Whether libvirt keeps the guest in a start that no process continues, and the service reported it (see
        CURE_OF_STUCK in kilonova.virt.libvirt.domain.lifecycle)."""
        is_reported = any(HELD in str(action["message"]) for action in self._here.actions(server, self._web))
        self.held |= {server} if is_reported else set()
        return is_reported

    def _settled(self, server: str) -> str | None:
        """The server's final status; None when the server was deleted."""

        def look() -> tuple[str | None] | None:
            shown = self._here.show(server, self._web)
            if shown is None:
                return (None,)
            return (shown["status"],) if shown["OS-EXT-STS:task_state"] is None else None

        time.sleep(0.02)
        try:
            return wait_for(look, 200, f"the end of the request for {server}")[0]
        except CannotMeasure as exc:
            task = (self._here.show(server, self._web) or {}).get("OS-EXT-STS:task_state")
            raise CannotMeasure(f"{exc}: {task} still; {self._last_message(server)}") from exc


def _workers(here: Scene, image: str, stop: threading.Event) -> Iterator[_Worker]:
    for number in range(3):
        yield _Worker(here, image, number, stop)


def restarts(bench: Bench) -> Row:
    """Restarts of libvirtd under create, reboot, delete."""
    times = bench.n(100, 5)
    row = Row(
        f"{times} restarts of libvirtd", "Three clients create, reboot and delete; every other restart is a SIGKILL."
    )
    chance = random.Random(3)
    with scene(bench) as here:
        image = here.image()
        first = here.create(image)
        here.active(first)
        stays = here.pid(first)
        at_rest = _rest(here)
        stop = threading.Event()
        workers = list(_workers(here, image, stop))
        for number in range(times):
            _end_and_start(here, workers, number, chance)
        stop.set()
        for worker in workers:
            worker.thread.join(600)
        unfinished = sum(worker.thread.is_alive() for worker in workers)
        freed = _follow_the_doctor(here)
        left = [server for server in here.box.server_ids() if server != first]
        leaked = [one for one in here.domains() if one != first]
        files = [path for server in leaked + left for path in files_of(here, server)]
        claimed = here.guests_claimed()
        here.hang_up()
        after = _rest(here, IDLE_S + 10)  # connections and threads that an outage needed are closed when they are idle
        ran_on = here.pid(first) == stays
        held = len(set().union(*(worker.held for worker in workers)))
        stuck = [text for worker in workers for text in worker.stuck]
        lost = [text for worker in workers for text in worker.lost]
        made, rebooted = sum(worker.made for worker in workers), sum(worker.rebooted for worker in workers)
        deleted, refused = sum(worker.deleted for worker in workers), sum(worker.refused for worker in workers)
    tried = f"{made} made, {rebooted} rebooted, {deleted} deleted (of them {refused} that no host had taken)"
    row.true("servers were made, rebooted and deleted meanwhile", min(made, rebooted, deleted) > 0, tried)
    row.none(f"stuck {stuck[:2] or ''}", len(stuck) + unfinished)
    row.none(f"lost {lost[:3] or ''}", len(lost) + (not ran_on))
    row.none("leaked (domains, servers, files)", len(leaked) + len(left) + len(files))
    row.true(
        "each guest that libvirt keeps in a start that no process continues is reported",
        held <= len(freed),
        f"{len(freed)} freed",
    )
    row.none("claimed guests besides the permanent guest", claimed - 1)
    row.most("threads more than at the start", after[0] - at_rest[0], 4, "")
    row.most("file descriptors more than at the start", after[1] - at_rest[1], 8, "")
    row.series += [
        Samples("control: threads and file descriptors before", "", at_rest),
        Samples("threads and file descriptors after", "", after),
    ]
    return row


def _end_and_start(here: Scene, workers: list[_Worker], number: int, chance: random.Random) -> None:
    """One restart, during the clients' work. A daemon that has just started again is out of service for about a second,
    and no operation begins on it. Three times of four this waits until an operation was completed again; every fourth
    time the daemon is ended while it still starts."""
    if number % 4 != 3:
        before = sum(worker.ended for worker in workers)
        with suppress(CannotMeasure):
            wait_for(lambda: sum(worker.ended for worker in workers) > before, 20, "anything")
    time.sleep(chance.uniform(0.05, 1.5))
    if number % 2:
        here.daemon.kill()
        here.daemon.start()
    else:
        here.daemon.restart()


def _follow_the_doctor(here: Scene) -> list[str]:
    """Guests that `kilonova doctor` reports in a start that no process continues; they were freed as it says, and the
    requests for them have ended since."""
    argv = [sys.executable, "-m", "kilonova", "doctor", "--json", "--connection-uri", here.daemon.uri]
    argv += ["--state-path", str(here.box.state)]
    output = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout
    (finding,) = [one for one in json.loads(output) if one["check"] == "libvirt-stuck"]
    names = list(finding["facts"]["guests"])
    if names:
        here.daemon.kill()
        for name in names:
            (here.daemon.directory / f"run/libvirt/qemu/run/{name}.xml").unlink()
        here.daemon.start()
        with suppress(CannotMeasure):
            wait_for(lambda: not any(one in name for one in here.domains() for name in names), 120, "their deletion")
    return names


def _rest(here: Scene, within_s: float = 4) -> tuple[int, int]:
    """Threads and descriptors once the box is idle: late closes are done."""
    wait_for(here.ready, 30, "a ready box")
    found: tuple[int, int] = (1 << 20, 1 << 20)
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        found = min(found, (here.threads(), here.descriptors()))
        time.sleep(0.1)
    return found
