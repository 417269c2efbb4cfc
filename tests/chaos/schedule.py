# SPDX-License-Identifier: Apache-2.0
"""The faults of a run, which follow from its seed: what, of which process, when and for how long."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tests.chaos.cloud import DISKS_MIB, TO_FILL, Shape

LONGEST_S, SHORTEST_S, USUAL_S = 30.0, 0.3, 6.0
QUIET_S = 2.0
"""A process serves for at least so long between two faults of it."""
CALM_S = 3.0
"""Seconds before the first fault."""

POSTGRESQL = "PostgreSQL"
KILL, FREEZE, HOLD, LOSE, CUT = "kill -9", "freeze", "hold", "hold and lose", "cut"
STEP, FILL, KILL_GUEST, FREEZE_GUEST = "step the clock", "fill the disk", "kill -9 a guest", "freeze a guest"
POWER, DISABLE, FORCE, GIVE_UP = "switch off", "disable", "kill -9, force down", "switch off, give up, evacuate"
ENDING = (KILL, POWER, FORCE, GIVE_UP)
"""The target of these has no process meanwhile."""
GIVEN_UP_S = 35.0
"""A host is down, and given up, only after some time."""
STEPS_S = (-600.0, -30.0, -2.0, 2.0, 30.0, 600.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """`target` is a process, a path between two, or a file system.  Times are seconds of the run."""

    kind: str
    target: str
    at_s: float
    lasts_s: float
    by_s: float = 0.0
    """How far the clock is stepped."""

    @property
    def end_s(self) -> float:
        """When it ends."""
        return self.at_s + self.lasts_s

    def __str__(self) -> str:
        step = f" by {self.by_s:+.0f} s" if self.by_s else ""
        return f"{self.at_s:7.1f} s  {self.kind}{step}: {self.target}, for {self.lasts_s:.1f} s"


def _processes(shape: Shape) -> list[str]:
    roles = {"api": shape.apis, "conductor": shape.conductors, "host": shape.hosts, "real": shape.real}
    return [f"{role}{number}" for role, count in roles.items() for number in range(1, count + 1)]


def _paths(shape: Shape) -> list[str]:
    processes = _processes(shape)
    return [
        *(f"{name} to NATS" for name in processes),
        *(f"{name} to PostgreSQL" for name in processes if not name.startswith(("host", "real"))),
        *(f"clients to {name}" for name in processes if name.startswith("api")),
    ]


def targets(shape: Shape) -> Mapping[str, Sequence[str]]:
    """What each kind of fault can have as its target."""
    processes, engines = _processes(shape), ["NATS", POSTGRESQL]
    real = [f"real{number}" for number in range(1, shape.real + 1)]
    hosts = [f"host{number}" for number in range(1, shape.hosts + 1)]
    daemons = [f"libvirtd of {name}" for name in real]
    found = {
        KILL: [*processes, *engines, *daemons],
        FREEZE: [*processes, *engines, *daemons],
        **{kind: _paths(shape) for kind in (HOLD, LOSE, CUT)},
        STEP: processes,
        FILL: [TO_FILL, POSTGRESQL] if shape.disks else [],
        POWER: [name for name in DISKS_MIB if name in (*processes, POSTGRESQL)] if shape.disks else [],
        DISABLE: [*hosts, *real],
        FORCE: [*hosts, *real],
        GIVE_UP: hosts if shape.hosts > 1 else [],
        KILL_GUEST: real,
        FREEZE_GUEST: real,
    }
    return {kind: names for kind, names in found.items() if names}


WEIGHTS: Mapping[str, int] = {KILL: 6, FREEZE: 6, HOLD: 2, LOSE: 2, CUT: 2, STEP: 2, FILL: 1, KILL_GUEST: 2, POWER: 4}
"""How often a kind is chosen, compared with others: once if it is not here."""


def schedule(seed: int, seconds: float, shape: Shape, pause_s: float) -> list[Fault]:
    """The faults of a run of so many seconds, on average one in each `pause_s`, in the order of their begin.

    Two faults of the same target do not overlap; all others do at random.  All end before the run does.
    """
    random, possible = Random(seed), targets(shape)
    kinds, free_at = list(possible), dict[str, float]()
    weights = [WEIGHTS.get(kind, 1) for kind in kinds]
    found: list[Fault] = []
    at_s = CALM_S + random.expovariate(1 / pause_s)
    while at_s < seconds - 1:
        kind = random.choices(kinds, weights)[0]
        fault = _fault(random, kind, random.choice(possible[kind]), at_s)
        lanes = lanes_of(fault)
        if all(free_at.get(lane, 0) <= at_s for lane in lanes) and fault.end_s < seconds:
            free_at |= dict.fromkeys(lanes, fault.end_s + QUIET_S)
            found.append(fault)
        at_s += random.expovariate(1 / pause_s)
    return found


def _fault(random: Random, kind: str, target: str, at_s: float) -> Fault:
    lasts_s = min(LONGEST_S, SHORTEST_S + random.expovariate(1 / USUAL_S)) + (GIVEN_UP_S if kind == GIVE_UP else 0.0)
    return Fault(kind, target, round(at_s, 2), round(lasts_s, 2), random.choice(STEPS_S) if kind == STEP else 0.0)


def lanes_of(fault: Fault) -> Sequence[str]:
    """Faults of one lane do not overlap.  A machine that is switched off has no other fault of its processes."""
    if fault.kind in (STEP, KILL_GUEST, FREEZE_GUEST, DISABLE):
        return [f"{fault.kind} {fault.target}"]
    if fault.kind in (POWER, GIVE_UP):
        return [fault.target, f"libvirtd of {fault.target}", f"{FREEZE_GUEST} {fault.target}"]
    return [fault.target]
