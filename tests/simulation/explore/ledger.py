# SPDX-License-Identifier: Apache-2.0
"""What the hypervisors of all hosts do with guests, and what hosts fetch, watched beside the service."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.fake.machine import FakeHypervisor

_LIVE = (PowerState.RUNNING, PowerState.PAUSED)
POWER_LOST = "power lost"
BY_ITSELF = "shut itself down"
"""The reasons of a guest that is off, besides those of the driver."""


class Moment(NamedTuple):
    """A guest on a machine from this time on.  `power` None: the hypervisor does not know it.  `network`: it has its
    address there."""

    at_s: float
    power: PowerState | None
    reason: str
    network: bool


class Fetching(NamedTuple):
    """A request of a host for work.  `running` are the (action, leg) that it runs already."""

    host: str
    epoch: int
    running: frozenset[tuple[str, int]]


@dataclass
class Ledger:
    """`twice`: sentences about guests that lived on two machines at a time.  `started`: starts of a guest by its start
    token; `ended`: how often it ended without a request, which permits one more start.  `removed`: how often all of its
    parts were removed; what is made after that is another guest, and its token has this number.  `moments` are by
    machine and guest, `fetches` by attempt."""

    now: Callable[[], float]
    live: dict[InstanceId, set[str]] = field(default_factory=lambda: defaultdict(set))
    twice: list[str] = field(default_factory=list)
    started: Counter[tuple[InstanceId, str]] = field(default_factory=Counter)
    ended: Counter[InstanceId] = field(default_factory=Counter)
    removed: Counter[InstanceId] = field(default_factory=Counter)
    moments: dict[tuple[str, InstanceId], list[Moment]] = field(default_factory=lambda: defaultdict(list))
    fetches: dict[str, Fetching] = field(default_factory=dict)
    fetched: Callable[[str, Collection[str]], None] = lambda _attempt, _running: None
    """Called with each attempt and the actions that run already."""

    def lives(self, machine: str, instance_id: InstanceId) -> None:
        """The guest has a process on the machine now."""
        there = self.live[instance_id]
        there.add(machine)
        if len(there) > 1:
            self.twice.append(f"At {self.now():.1f} s guest {instance_id} lives on {' and '.join(sorted(there))}.")

    def starts(self, instance_id: InstanceId, token: str) -> None:
        """The guest starts now."""
        number = self.removed[instance_id]
        self.started[instance_id, f"{token}, guest {number}" if number else token] += 1

    def is_off(self, machine: str, instance_id: InstanceId) -> None:
        """The guest has no process on the machine now."""
        self.live[instance_id].discard(machine)

    def enter(self, machine: "Machine", instance_id: InstanceId) -> None:
        """Something of the guest may have changed."""
        guest, known = machine.guests.get(instance_id), self.moments[machine.name, instance_id]
        if guest is None:
            self.removed[instance_id] += 1
        power = None if guest is None or guest.definition is None else guest.power
        fresh = Moment(self.now(), power, "" if guest is None else guest.reason, guest is not None and guest.network)
        if not known or known[-1][1:] != fresh[1:]:
            known.append(fresh)

    def fetch(self, payload: bytes) -> None:
        """A host sends a request; if it is one for work, remember what it says."""
        head, _, body = payload.partition(b"\n")
        if b'"fetch"' in head:
            sent = json.loads(body)
            running = frozenset((leg["action_id"], leg["index"]) for leg in sent["running"])
            self.fetches[sent["attempt"]] = Fetching(sent["host"], sent["epoch"], running)
            self.fetched(sent["attempt"], [action for action, _ in running])


class Machine(FakeHypervisor):
    """A hypervisor that enters its guests into a ledger."""

    name: str
    ledger: Ledger

    def move(self, instance_id: InstanceId, power: PowerState, reason: str) -> None:
        guest = self.guests.get(instance_id)
        starts = guest.starts if guest is not None else 0
        super().move(instance_id, power, reason)
        if guest is None or guest.power is not power:
            return
        if guest.starts > starts and guest.start_token is not None:
            self.ledger.starts(instance_id, guest.start_token)
        if power in _LIVE:
            self.ledger.lives(self.name, instance_id)
        else:
            self.ledger.is_off(self.name, instance_id)

    def lose_power(self) -> None:
        super().lose_power()
        for instance_id, guest in self.guests.items():
            self.ledger.is_off(self.name, instance_id)
            self.ledger.ended[instance_id] += 1
            self.ledger.enter(self, instance_id)
            known = self.ledger.moments[self.name, instance_id]
            if not guest.saved:
                known.append(known[-1]._replace(at_s=self.ledger.now(), reason=POWER_LOST))

    def vanish(self, instance_id: InstanceId) -> None:
        """Another tool removes the guest with all that it has."""
        self.guests.pop(instance_id).switch_off()
        self.ledger.is_off(self.name, instance_id)
        self.ledger.enter(self, instance_id)
