# SPDX-License-Identifier: Apache-2.0
"""What the hypervisors of all hosts do with guests, watched at each change of a power state."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.fake.machine import FakeHypervisor

_LIVE = (PowerState.RUNNING, PowerState.PAUSED)


@dataclass
class Ledger:
    """`twice`: sentences about guests that lived on two machines at a time.  `started`: starts of a guest by its start
    token; `ended`: how often it ended without a request, which permits one more start."""

    now: Callable[[], float]
    live: dict[InstanceId, set[str]] = field(default_factory=lambda: defaultdict(set))
    twice: list[str] = field(default_factory=list)
    started: Counter[tuple[InstanceId, str]] = field(default_factory=Counter)
    ended: Counter[InstanceId] = field(default_factory=Counter)

    def lives(self, machine: str, instance_id: InstanceId) -> None:
        """The guest has a process on the machine now."""
        there = self.live[instance_id]
        there.add(machine)
        if len(there) > 1:
            self.twice.append(f"At {self.now():.1f} s guest {instance_id} lives on {' and '.join(sorted(there))}.")

    def is_off(self, machine: str, instance_id: InstanceId) -> None:
        """The guest has no process on the machine now."""
        self.live[instance_id].discard(machine)


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
            self.ledger.started[instance_id, guest.start_token] += 1
        if power in _LIVE:
            self.ledger.lives(self.name, instance_id)
        else:
            self.ledger.is_off(self.name, instance_id)

    def lose_power(self) -> None:
        super().lose_power()
        for instance_id in self.guests:
            self.ledger.is_off(self.name, instance_id)
            self.ledger.ended[instance_id] += 1
