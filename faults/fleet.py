# SPDX-License-Identifier: Apache-2.0
"""A fleet of real processes loses one of them, or an engine, while 20 clients create a server each."""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.box import FLAVOR
from bench.figures import CannotMeasure
from bench.fleet_cloud import FleetCloud
from bench.run import Bench
from bench.web import Web
from faults.table import Row, Samples
from lab.fleet.fleet import Fleet, Plan
from lab.guest_image import IMAGE

CLIENTS = 20
AFTER = 10
"""The fault begins when so many of the creates have been accepted."""
DOWN_S = 5.0
AWAY_S = 20.0
SETTLE_S = 120.0
REQUEST_S = 60.0
RETRY_S = 0.2
MOVING_S = 2.0
SERVERS = "/compute/v2.1/servers"

Fault = Callable[[Fleet, int], None]
"""Makes the fault and its end: what was lost has returned when it returns.  The number is that of the run."""


def compute(bench: Bench) -> Row:
    """A compute process, with real guests: those of the fake driver would end with the process."""

    def fault(fleet: Fleet, run: int) -> None:
        victim = fleet.hosts[run % len(fleet.hosts)].process
        victim.kill()
        time.sleep(DOWN_S)
        fleet.restart(victim)

    how = f"kill -9 of the compute process of one of two hosts, started again after {DOWN_S:g} s; real guests."
    return _row(bench, "fleet: kill -9 of compute", how, Plan(hosts=2), fault)


def conductor(bench: Bench) -> Row:
    """One of two conductors."""

    def fault(fleet: Fleet, run: int) -> None:
        victim = fleet.conductors[run % 2]
        victim.kill()
        time.sleep(DOWN_S)
        fleet.restart(victim)

    how = f"kill -9 of one of two conductors, started again after {DOWN_S:g} s."
    return _row(bench, "fleet: kill -9 of a conductor", how, Plan(real=False), fault)


def api(bench: Bench) -> Row:
    """One of two API processes behind the balancer."""

    def fault(fleet: Fleet, run: int) -> None:
        victim = fleet.apis[run % 2]
        victim.kill()
        time.sleep(DOWN_S)
        fleet.restart(victim)

    how = f"kill -9 of one of two API processes behind HAProxy, started again after {DOWN_S:g} s."
    return _row(bench, "fleet: kill -9 of an API", how, Plan(real=False), fault)


def nats(bench: Bench) -> Row:
    """The NATS server."""

    def fault(fleet: Fleet, _run: int) -> None:
        fleet.nats.kill()
        time.sleep(AWAY_S)
        fleet.restart_nats()

    how = f"kill -9 of the only NATS server, started again after {AWAY_S:g} s."
    return _row(bench, f"fleet: NATS away for {AWAY_S:g} s", how, Plan(real=False), fault)


def postgres(bench: Bench) -> Row:
    """The PostgreSQL server."""

    def fault(fleet: Fleet, run: int) -> None:
        (fleet.postgres.stop if run % 2 else fleet.postgres.kill)()
        fleet.postgres.start()

    how = "The PostgreSQL server is started again at once, after a fast shutdown and after SIGKILL in turns."
    return _row(bench, "fleet: PostgreSQL restarted", how, Plan(real=False), fault)


# -- one run -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Clients:
    """Clients in threads, each of which creates one server: a request without an answer, or with one of the 500s, is
    sent again under the same Idempotency-Key."""

    port: int
    token: str
    image: str
    name: str
    accepted: dict[int, str] = field(default_factory=dict[int, str])
    tries: list[int] = field(default_factory=list[int])
    stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> Sequence[threading.Thread]:
        threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        return threads

    def _run(self, number: int) -> None:
        found, tries = create(Web(self.port, self.token, REQUEST_S), self.image, self.name, number, self.stop)
        self.tries.append(tries)
        if found is not None:
            self.accepted[number] = found


def create(web: Web, image: str, name: str, number: int, stop: threading.Event) -> tuple[str | None, int]:
    """A new server, and how many requests that took; None when stopped, or when it was refused."""
    body = {"server": {"name": f"{name}-{number}", "imageRef": image, "flavorRef": FLAVOR, "networks": "auto"}}
    web.headers["Idempotency-Key"] = f"{name}-{number}"
    tries = 0
    while not stop.is_set():
        tries += 1
        try:
            answer = web("POST", SERVERS, body)
        except OSError:
            stop.wait(RETRY_S)
            continue
        if answer.status == 202:
            return str(answer.json()["server"]["id"]), tries
        if answer.status < 500 and answer.status != 409:
            return None, tries
        stop.wait(RETRY_S)
    return None, tries


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many servers ended in which state, how many there are in all, the seconds from the return until a new server
    was ACTIVE, and until the last of the creates was."""

    states: Mapping[str, int]
    listed: int
    moving_s: float
    all_s: float
    tries: Sequence[int]


def _once(cloud: FleetCloud, image: str, run: int, fault: Fault) -> Outcome:
    name = f"run{run}"
    clients = Clients(cloud.port, cloud.token, image, name)
    threads = clients.start()
    deadline = time.monotonic() + SETTLE_S
    while len(clients.accepted) < AFTER:
        if time.monotonic() > deadline:
            raise CannotMeasure("The creates before the fault were not accepted.")
        time.sleep(0.001)
    fault(cloud.fleet, run)
    back = time.monotonic()
    probe = Web(cloud.port, cloud.token, REQUEST_S)
    moving_s = _until_active(probe, image, f"probe{run}", back)
    for thread in threads:
        thread.join(max(0.0, back + SETTLE_S - time.monotonic()))
    clients.stop.set()
    ids = set(clients.accepted.values())
    while (states := _states(cloud, name)) != {"ACTIVE": len(ids)} and time.monotonic() < back + SETTLE_S:
        if states.get("ERROR"):
            break
        time.sleep(0.2)
    all_s = time.monotonic() - back
    _remove(cloud)
    return Outcome(states, len(ids), moving_s, all_s, clients.tries)


def _until_active(web: Web, image: str, name: str, back: float) -> float:
    found, _ = create(web, image, name, 0, threading.Event())
    while time.monotonic() < back + SETTLE_S:
        try:
            answer = web("GET", f"{SERVERS}/{found}")
        except OSError:
            continue
        if answer.status == 200 and answer.json()["server"]["status"] == "ACTIVE":
            return time.monotonic() - back
        time.sleep(0.02)
    return float("inf")


def _states(cloud: FleetCloud, name: str) -> dict[str, int]:
    answer = cloud.web("GET", f"{SERVERS}/detail?name={name}-")
    found: dict[str, int] = {}
    for server in answer.json()["servers"] if answer.status == 200 else ():
        found[server["status"]] = found.get(server["status"], 0) + 1
    return found


def _remove(cloud: FleetCloud) -> None:
    """Delete all servers."""
    for server in cloud.server_ids():
        cloud.web.expect(204, "DELETE", f"{SERVERS}/{server}")
    end = time.monotonic() + SETTLE_S
    while cloud.server_ids():
        if time.monotonic() > end:
            raise CannotMeasure("The servers of one run are not gone before the next.")
        time.sleep(0.2)


def _nothing(_fleet: Fleet, _run: int) -> None:
    """No fault."""


def _row(bench: Bench, title: str, how: str, plan: Plan, fault: Fault) -> Row:
    runs = bench.n(10, 2)
    row = Row(
        title,
        f"{how} {CLIENTS} clients create a server each; the fault begins when {AFTER} have been accepted, and a client "
        "without an answer sends its request again under the same Idempotency-Key.  Moving again: from the return "
        "until a server that is requested then is ACTIVE.  Control: the same without the fault, once; a server waits "
        f"for the start of the real guests before it.  {runs} runs on one fleet (two APIs, two conductors).",
    )
    found: list[Outcome] = []
    with FleetCloud(bench.directory(), plan) as cloud:
        image = cloud.upload("guest", IMAGE.read_bytes(), "qcow2") if plan.real else cloud.small_image()
        control = _once(cloud, image, runs, _nothing)
        if not math.isfinite(control.moving_s):
            raise CannotMeasure("Without the fault, a server did not become ACTIVE: there is no control.")
        bench.say(f"without the fault: moving {control.moving_s:.2f} s, all {control.all_s:.2f} s")
        for run in range(runs):
            found.append(_once(cloud, image, run, fault))
            one = found[-1]
            bench.say(f"run {run + 1}: {dict(one.states)}, moving {one.moving_s:.2f} s, all {one.all_s:.2f} s")
    wanted = runs * CLIENTS
    active = sum(one.states.get("ACTIVE", 0) for one in found)
    error = sum(one.states.get("ERROR", 0) for one in found)
    there = sum(sum(one.states.values()) for one in found)
    row.true("every create was accepted", all(one.listed == CLIENTS for one in found))
    row.true("ACTIVE", active == wanted, f"{active} of {wanted}")
    row.none("ERROR", error)
    row.none("stuck", there - active - error)
    row.none("servers more than creates", max(0, there - wanted))
    slowest_s = max(one.moving_s for one in found)
    row.most(
        "moving again after the return, the slowest run less the control", slowest_s - control.moving_s, MOVING_S, "s"
    )
    row.series += [
        Samples("moving again after the return", "s", [one.moving_s for one in found]),
        Samples("the same without the fault", "s", [control.moving_s]),
        Samples("all ACTIVE after the return", "s", [one.all_s for one in found]),
        Samples("all ACTIVE without the fault", "s", [control.all_s]),
        Samples("requests until a create was accepted", "", [float(n) for one in found for n in one.tries]),
    ]
    return row
