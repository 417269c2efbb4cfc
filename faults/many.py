# SPDX-License-Identifier: Apache-2.0
"""Ten of a hundred guests freeze: how fast requests for the others are, while nobody uses the frozen guests, while
their users stop, pause and cancel, and while all of them are deleted.

Each round measures the control first, and then the same with the frozen guests, so that a change of the machine's load
meets both.
"""

import os
import signal
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from bench.figures import CannotMeasure
from bench.processes import cpu_seconds
from bench.run import Bench
from bench.web import Web
from faults.lab import SERVERS, Crowd, Scene, paced, scene, wait_for
from faults.table import Row, Samples

CONFIG = """\
[DEFAULT]
cpu_allocation_ratio = 128
[libvirt]
guest_pulse_interval = 10
[quota]
instances = -1
cores = -1
ram = -1
"""

HALTS = b"\xfa\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"
"""A boot sector that stops the processor (cli, hlt): a hundred guests that idle leave two cores to the measurement."""

STARTS_S = 900.0
"""A hundred guests start and boot on two cores."""
QUIET_S = 300.0
MOST_AT_REST = 1.0
"""CPUs of all guests together, of two."""
LOOK_S = 0.005
ANSWER_S = 2.0
"""A cancel answers within this time."""
CALM, IDLE, USED, DELETED = "control", "frozen", "frozen and used", "frozen and deleted"
READ, PAUSE, REBOOT = "console", "pause or unpause", "hard reboot"
BOUND = 1.5


@dataclass(slots=True)
class Seen:
    """Durations by kind of request and by phase, in ms; those of cancels of frozen guests in s."""

    times: dict[tuple[str, str], list[float]] = field(default_factory=dict[tuple[str, str], list[float]])
    cancels: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])

    def add(self, what: str, phase: str, found: Sequence[float]) -> None:
        self.times.setdefault((what, phase), []).extend(found)


class Others:
    """The guests that do not freeze, used in turns by one client."""

    def __init__(self, here: Scene, servers: Sequence[str], seen: Seen) -> None:
        self._here, self.seen = here, seen
        self._turn = cycle(servers)

    def use(self, phase: str, *, reads: int, pauses: int, reboots: int) -> None:
        """So many console requests, pauses with their unpauses, and hard reboots."""
        console = lambda: self._here.console(next(self._turn))  # noqa: E731
        self.seen.add(READ, phase, paced(console, reads))
        for _ in range(pauses):
            server = next(self._turn)
            self.seen.add(PAUSE, phase, [self._act(server, {"pause": None}, "PAUSED")])
            self.seen.add(PAUSE, phase, [self._act(server, {"unpause": None}, "ACTIVE")])
        for _ in range(reboots):
            self.seen.add(REBOOT, phase, [self._act(next(self._turn), {"reboot": {"type": "HARD"}}, "ACTIVE")])

    def _act(self, server: str, body: dict[str, Any], status: str) -> float:
        """ms from the request to the end of its action."""
        begun = time.perf_counter()
        request(self._here.box.web, server, body)
        wait_settled(self._here, server, status, self._here.box.web)
        return (time.perf_counter() - begun) * 1000


def request(web: Web, server: str, body: dict[str, Any]) -> None:
    """An action that must be accepted."""
    web.expect(202, "POST", f"{SERVERS}/{server}/action", body)


def wait_settled(here: Scene, server: str, status: str, web: Web) -> None:
    """Until it has the status and no action.  Raises CannotMeasure."""
    end = time.monotonic() + 120
    while True:
        shown = here.show(server, web) or {}
        if shown.get("status") == status and shown.get("OS-EXT-STS:task_state") is None:
            return
        if shown.get("status") == "ERROR" or time.monotonic() > end:
            raise CannotMeasure(f"{server} is {shown.get('status')} instead of {status}: {shown.get('fault')}")
        time.sleep(LOOK_S)


@contextmanager
def frozen(here: Scene, servers: Sequence[str]) -> Generator[None]:
    """Their QEMUs are stopped by SIGSTOP."""
    pids = [here.pid(server) for server in servers]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in set(pids) & set(here.daemon.guests().values()):
            os.kill(pid, signal.SIGCONT)


def use_frozen(here: Scene, servers: Sequence[str], seen: Seen) -> Crowd:
    """A user for each: stops or pauses it, cancels that after a second, and looks at its console and diagnostics."""
    clients = [here.web() for _ in servers]

    def use(n: int) -> int:
        web, server = clients[n], servers[n]
        request(web, server, {"pause": None} if n % 2 else {"os-stop": None})
        time.sleep(1)
        begun = time.perf_counter()
        (one,) = web.expect(200, "POST", "/compute/v2.1/kilonova/cancel", {"cancel": {"id": server}}).json()["cancel"][
            "actions"
        ]
        seen.cancels.append((one["result"], time.perf_counter() - begun))
        here.console(server, web)
        return web("GET", f"{SERVERS}/{server}/diagnostics").status

    return Crowd(len(servers), use)


def mend(here: Scene, servers: Sequence[str]) -> None:
    """The guests that continue do what was requested of them; then all run again."""
    for server in servers:
        wait_for(lambda one=server: _rests(here, one), 120, f"the end of the actions of {server}")
        status = (here.show(server) or {}).get("status")
        if status != "ACTIVE":
            request(here.box.web, server, {"unpause": None} if status == "PAUSED" else {"os-start": None})
    for server in servers:
        wait_settled(here, server, "ACTIVE", here.box.web)


def _rests(here: Scene, server: str) -> bool:
    shown = here.show(server) or {}
    settled = shown.get("OS-EXT-STS:task_state") is None and shown.get("status") in ("ACTIVE", "PAUSED", "SHUTOFF")
    path = f"/ui/api/actions?server_id={server}&state=open"
    return settled and not here.box.web.expect(200, "GET", path).json()["actions"]


def delete(here: Scene, servers: Sequence[str], used: Callable[[], None]) -> tuple[list[float], int]:
    """Delete all at once, and use the others until they are gone: how long each took, and how many are left."""
    took: list[float] = []
    clients = [here.web() for _ in servers]

    def gone(n: int) -> int:
        begun = time.perf_counter()
        clients[n].expect(204, "DELETE", f"{SERVERS}/{servers[n]}")
        wait_for(lambda: here.show(servers[n], clients[n]) is None, 300, f"the end of {servers[n]}")
        took.append(time.perf_counter() - begun)
        return 204

    crowd = Crowd(len(servers), gone)
    while crowd.join(0.0):
        used()
    return took, len(set(servers) & set(here.domains()))


def cpus(here: Scene, seconds: float) -> float:
    """How many CPUs the guests and the box use now."""
    pids = [here.box.process.pid, *here.daemon.guests().values()]
    before = sum(map(cpu_seconds, pids))
    begun = time.monotonic()
    time.sleep(seconds)
    return (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - begun)


def booted(here: Scene) -> float:
    """Wait until the guests have started; the CPUs that they and the box then use.  Raises CannotMeasure."""
    end = time.monotonic() + QUIET_S
    now, last = cpus(here, 5), float("inf")
    while now > MOST_AT_REST or now < last * 0.8:
        if time.monotonic() > end:
            raise CannotMeasure(f"the guests use {now:.2f} CPUs after {QUIET_S:g} s")
        now, last = cpus(here, 5), now
    return now


def settle(here: Scene, at_rest: float) -> None:
    """The firmware of a guest that was just started works: this must not count."""
    wait_for(lambda: cpus(here, 2) < at_rest * 1.5 + 0.2, 60, "guests at rest")


def start(here: Scene, count: int) -> list[str]:
    """So many servers of the smallest kind, ACTIVE."""
    image = here.box.upload("halts", HALTS.ljust(1 << 20, b"\0"), "raw")
    flavor = {"name": "smallest", "ram": 64, "vcpus": 1, "disk": 1}
    flavor_id = here.box.web.expect(200, "POST", "/compute/v2.1/flavors", {"flavor": flavor}).json()["flavor"]["id"]
    servers = [here.create(image, f"guest-{one}", flavor=flavor_id) for one in range(count)]
    here.active(*servers, within_s=STARTS_S)
    return servers


def measure(here: Scene, bench: Bench, ill: Sequence[str], others: Others, at_rest: float) -> None:
    """The rounds: calm, frozen, frozen and used."""
    amount = {"reads": bench.n(200, 30), "pauses": bench.n(40, 5), "reboots": bench.n(6, 1)}
    others.use(CALM, reads=20, pauses=2, reboots=1)
    others.seen.times.clear()  # the first requests open connections
    for number in range(bench.n(5, 1)):
        bench.say(f"round {number + 1}")
        settle(here, at_rest)
        others.use(CALM, **amount)
        with frozen(here, ill):
            settle(here, at_rest)
            others.use(IDLE, **amount)
            settle(here, at_rest)
            crowd = use_frozen(here, ill, others.seen)
            others.use(USED, **amount)
        if crowd.join(120) or len(crowd.ended) < len(ill):
            raise CannotMeasure("a user of a frozen guest received no answer")
        here.hang_up()
        mend(here, ill)


def many_frozen(bench: Bench) -> Row:
    """Ten QEMUs of a hundred SIGSTOP."""
    count, sick = bench.n(100, 8), bench.n(10, 5)
    row = Row(
        f"{sick} QEMUs of {count} SIGSTOP",
        f"One client uses the {count - sick} others in turns: console requests, pauses and unpauses, hard reboots, "
        "each until its action has ended. The control alternates with the frozen guests, in the same rounds. Used: "
        "half of the frozen guests are stopped, half are paused by their users; each action is cancelled after a "
        "second. At the end all frozen guests are deleted at once.",
    )
    seen = Seen()
    with scene(bench, config=CONFIG) as here:
        servers = start(here, count)
        bench.say(f"{count} guests are ACTIVE")
        rate = booted(here)
        ill, well = servers[:sick], servers[sick:]
        others = Others(here, well, seen)
        measure(here, bench, ill, others, rate)
        settle(here, rate)
        with frozen(here, ill):
            took, left = delete(here, ill, lambda: others.use(DELETED, reads=20, pauses=4, reboots=0))
        here.hang_up()
        lost = sum((here.show(server) or {}).get("status") != "ACTIVE" for server in well)
    _judge(row, seen, took, left, lost)
    row.series.append(Samples("CPUs that the guests and the box use at rest", "", [rate]))
    return row


def _judge(row: Row, seen: Seen, took: Sequence[float], left: int, lost: int) -> None:
    for (what, phase), found in seen.times.items():
        if phase in (IDLE, USED, DELETED):
            row.ratio(f"p99 of {what}, {phase}, over the control's", found, seen.times[what, CALM], BOUND)
    slowest = max(seconds for _, seconds in seen.cancels)
    kinds = sorted({result for result, _ in seen.cancels})
    row.most(f"slowest answer to a cancel ({', '.join(kinds)})", slowest, ANSWER_S, "s")
    row.none("frozen guests left after their deletes", left)
    row.none("others that are not ACTIVE at the end", lost)
    row.series += [Samples(f"{what}: {phase}", "ms", found) for (what, phase), found in sorted(seen.times.items())]
    row.series.append(Samples("cancels of actions on frozen guests", "s", [seconds for _, seconds in seen.cancels]))
    row.series.append(Samples("deletes of frozen guests, all at once", "s", took))
