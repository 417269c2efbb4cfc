# SPDX-License-Identifier: Apache-2.0
"""A plan: what clients request, what operators edit and what breaks, with the virtual time of each.

A plan is a flat list of frozen steps.  Each step has a seed of its own for the choices that it makes when it runs, and
depends on no other step, so that a plan from which steps were left out is a plan, too: `shrink` needs this.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

LENGTH_S = 100.0
"""The virtual time of the steps.  Every fault ends before `LENGTH_S + LONGEST_S`."""
LONGEST_S = 40.0

CREATE, ACT, SHOW, LIST, ACTIONS, DELETE = "create", "act", "show", "list", "list actions", "delete"

REQUESTS: Mapping[str, int] = {CREATE: 11, ACT: 36, SHOW: 12, LIST: 3, ACTIONS: 2, DELETE: 4}
"""Requests of clients, with their weights.  What an `act` requests depends on the state that the client has seen."""

OF_A_SERVER = frozenset({ACT, SHOW, ACTIONS, DELETE})
"""Requests that need a server.  While there is none, a client creates one instead."""

EDITS: Mapping[str, int] = {
    "disable a host": 3,
    "force a host down": 3,
    "change a quota": 2,
    "edit a flavor": 2,
    "edit an aggregate": 2,
    "delete an image": 2,
    "reset a state": 1,
    "evacuate servers": 2,
    "list hosts": 1,
}
"""Requests of operators, with their weights."""

FAULTS: Mapping[str, int] = {
    "messages are lost": 3,
    "messages are doubled": 3,
    "messages are late": 3,
    "messages are reordered": 2,
    "a host is cut off": 3,
    "a conductor is cut off": 1,
    "a host process crashes": 6,
    "a conductor crashes": 5,
    "the API crashes": 2,
    "a host process freezes": 3,
    "a conductor freezes": 2,
    "a clock is skewed": 1,
    "a clock jumps": 1,
    "a host reboots": 3,
    "a host loses power": 2,
    "a host is lost for good": 1,
    "driver calls fail": 3,
    "driver calls fail after their work": 3,
    "driver calls are cut off": 3,
    "driver calls hang": 2,
    "a hypervisor is away": 2,
    "a guest dies": 3,
    "a guest shuts itself down": 2,
    "a guest freezes": 2,
    "an image file vanishes": 1,
    "commits are not answered": 3,
    "transactions run again": 3,
    "the database is refused": 2,
    "the disk of the database is full": 2,
}
"""Faults, with their weights."""

TRAPS: Mapping[str, int] = {
    "a verb meets failing calls": 8,
    "a verb hangs for long": 1,
    "a verb meets a crash": 5,
    "a verb meets late messages": 3,
    "a verb meets conductors that stop": 5,
    "a verb meets a boot": 4,
    "a verb meets the end of its guest": 4,
    "a verb meets an operator": 3,
    "a verb meets another verb": 4,
    "a verb meets lost replies": 3,
    "a delete meets a host that is down": 3,
    "a host is given up and returns": 3,
    "a host is cloned": 1,
    "creates meet each other": 2,
    "an image of a shelved server is deleted": 2,
}
"""Requests with a fault that is aimed at them, with their weights."""

MANY = "many creates meet each other"
"""It is in plans of one host that has room for few servers."""
AIMED = (
    "an old fetch arrives", "an old outcome arrives", "an old leg's outcome arrives", "an old report arrives",
    "a build is not removed", "a deleted server is not removed", "a confirmation fails", "an offload fails",
    "an unshelve is not removed", "an evacuation is not removed", "a delete meets an image", "a delete meets a build",
    "a boot meets work", "a start after a boot fails", "a guest vanishes", "a live host is given up",
    "a hypervisor has no answer", "a resized server is reset", "a resize fails late", "a live host is adopted",
    "an answer is lost", "a create arrives twice", "a placement is slow", "a placement fails", "an address is taken",
    MANY, "hosts are cloned",
)  # fmt: skip
"""Requests with one rare fault each, after the other faults have ended.  The seed decides which a plan has."""
AIMED_OF_A_PLAN = 2
SEVERAL = frozenset({"an old leg's outcome arrives", "a build is not removed", "an evacuation is not removed"})
"""They need another host."""

REQUESTS_AT_LEAST, FAULTS_AT_LEAST, TRAPS_AT_LEAST = 36, 15, 4
TRAP_KINDS = 3
"""How many kinds of traps a plan has: rare situations come together when a seed has many of few kinds."""
CLIENTS = 3
SLOTS = 9
"""Creates of a plan: each fills a slot of its own, and later requests name the slot."""


@dataclass(frozen=True, slots=True)
class Step:
    """`number` is the place in the whole plan.  `slot` is the server of a request, `who` its client."""

    number: int
    at_s: float
    what: str
    seed: int
    slot: int = 0
    who: int = 0

    @property
    def random(self) -> Random:
        """The source of the step's own choices."""
        return Random(self.seed)


@dataclass(frozen=True, slots=True)
class Plan:
    """`hosts` and `conductors` are numbers of processes.  `seed` is that of the whole run.  `small`: the hosts have
    room for few servers, and `narrow`: their networks have few addresses."""

    seed: int
    hosts: int
    conductors: int
    steps: tuple[Step, ...]
    small: bool = False
    narrow: bool = False

    def phases(self) -> tuple[list[Step], ...]:
        """The steps that come together, and each aimed trap, which comes when the faults of the others have ended.
        The times count from the begin of a phase."""
        aimed = [[one] for one in self.steps if one.what in AIMED]
        return [one for one in self.steps if one.what not in AIMED], *aimed

    def only(self, numbers: Collection[int]) -> "Plan":
        """The same plan with these steps only."""
        return replace(self, steps=tuple(one for one in self.steps if one.number in numbers))


def plan_of(seed: int) -> Plan:
    """The plan of a seed."""
    random = Random(f"plan {seed}")
    hosts = random.choice((1, 2, 2, 3, 3, 4)) if random.random() < 0.98 else random.randint(10, 50)
    edits, faults, traps = _swarm(random, EDITS), _swarm(random, FAULTS), _few(random, TRAPS, TRAP_KINDS)
    found = [*_creates(random), *_others(random), *_drawn(random, edits, 6), *_drawn(random, faults, FAULTS_AT_LEAST)]
    found += _drawn(random, traps, TRAPS_AT_LEAST)
    found.sort(key=lambda one: one[0])
    rotated = [AIMED[(AIMED_OF_A_PLAN * seed + n) % len(AIMED)] for n in range(AIMED_OF_A_PLAN)]
    found += [(0.0, kind, 0, 0) for kind in rotated]
    steps = tuple(Step(number, at_s, what, random.getrandbits(48), slot, who)
             for number, (at_s, what, slot, who) in enumerate(found))  # fmt: skip
    conductors = random.choice((1, 2, 2, 3))
    small, narrow = random.random() < 0.2, random.random() < 0.15
    hosts = max(hosts, 2) if SEVERAL & set(rotated) else hosts
    if MANY in rotated:
        hosts, small = 1, True
    return Plan(seed, hosts, conductors, steps, small, narrow)


def _swarm(random: Random, kinds: Mapping[str, int]) -> Mapping[str, int]:
    """Other weights for each plan: some kinds are frequent in it, some do not occur (Groce and others: Swarm testing,
    2012)."""
    return {kind: weight * random.choice((0, 1, 1, 2, 8)) for kind, weight in kinds.items()} | {next(iter(kinds)): 1}


def _few(random: Random, kinds: Mapping[str, int], count: int) -> Mapping[str, int]:
    """Only some kinds; the heavier ones are in more plans."""
    return dict.fromkeys(random.choices(list(kinds), list(kinds.values()), k=count), 1)


Drawn = tuple[float, str, int, int]


def _creates(random: Random) -> list[Drawn]:
    """Half of the creates come at the beginning, so that later requests find servers."""
    times = [random.uniform(0, LENGTH_S * (0.1 if slot < SLOTS // 2 else 0.7)) for slot in range(SLOTS)]
    return [(at_s, CREATE, slot, random.randrange(CLIENTS)) for slot, at_s in enumerate(times)]


def _others(random: Random) -> list[Drawn]:
    kinds = [kind for kind in REQUESTS if kind != CREATE]
    weights = [REQUESTS[kind] for kind in kinds]
    return [
        (random.uniform(0, LENGTH_S), what, random.randrange(SLOTS), random.randrange(CLIENTS))
        for what in random.choices(kinds, weights, k=REQUESTS_AT_LEAST)
    ]


def _drawn(random: Random, kinds: Mapping[str, int], count: int) -> list[Drawn]:
    drawn: Sequence[str] = random.choices(list(kinds), list(kinds.values()), k=count)
    return [(random.uniform(0, LENGTH_S), what, random.randrange(SLOTS), 0) for what in drawn]
