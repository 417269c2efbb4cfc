# SPDX-License-Identifier: Apache-2.0
"""What goes wrong for a while: of messages, of the database, of driver calls.  Steps begin and end it."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from random import Random

from kilonova.base.errors import HypervisorError, HypervisorUnavailable, NativeCallTimeout, OutcomeUnknown
from kilonova.objects.ids import InstanceId
from kilonova.rpc.memory import Fate
from kilonova.virt.fake.calls import CALL_S
from kilonova.virt.fake.machine import CutOff
from tests.simulation.explore.history import EXCHANGE

USUAL_S, SLOW_S = 0.02, 2.0
"""The longest delay of a message, usually and while messages overtake each other."""
LATE_S = (6.0, 60.0)
"""How late a late copy arrives: after its sender has sent it again, and after the work was done."""
HANG_S = 30.0


class Hung(CutOff, NativeCallTimeout):
    """A call that did not return in time.  It is executed later, and no caller reads or changes its guest meanwhile."""


@dataclass
class Aim:
    """What happens to the calls of one guest: `skip` calls are executed, and the next `times` calls have a fault of
    this kind: "fails", "lies", "is cut off", "hangs", "has no answer"; "" is none.  `calls` counts them.  `only`: the
    names of these calls; empty: all.  `also`: another aim for calls without a fault of this one."""

    kind: str = ""
    skip: int = 0
    times: int = 1
    hang_s: float = 0.0
    calls: int = 0
    only: frozenset[str] = frozenset()
    also: "Aim | None" = None

    @property
    def reached(self) -> bool:
        """Whether the calls that are executed have begun, all of them."""
        return self.calls >= self.skip

    def fault(self, call: str) -> tuple[str, float]:
        """Of the call that begins now, and how long it hangs."""
        if not self.only or call in self.only:
            self.calls += 1
            if self.kind and self.skip < self.calls <= self.skip + self.times:
                return self.kind, self.hang_s
        return ("", 0.0) if self.also is None else self.also.fault(call)


@dataclass
class Placing:
    """What happens to the next `times` transactions that place a server: each waits so long, and is refused."""

    times: int
    waits_s: float = 0.0
    refused: bool = False


def _sender(subject: str) -> str:
    """The host that sends to this subject; empty: no host, or a reply."""
    return "" if subject.startswith(("reply.", "compute.")) else subject.rpartition(".")[2]


@dataclass
class Weather:
    """Probabilities of faults.  Every decision comes from `random` in the order of the messages and calls."""

    random: Random
    loss: float = 0.0
    doubling: float = 0.0
    late: float = 0.0
    slow: bool = False
    unanswered: float = 0.0
    again: float = 0.0
    refused: float = 0.0
    full: bool = False
    driver_fails: float = 0.0
    driver_lies: float = 0.0
    driver_cuts_off: float = 0.0
    driver_hangs: float = 0.0

    def __post_init__(self) -> None:
        self.counted: Counter[str] = Counter()
        """What has happened, by kind."""
        self.aims: dict[InstanceId, Aim] = {}
        self.late_from = frozenset[str]()
        """Hosts whose messages are all late."""
        self.late_s = LATE_S
        self.echoes_of = frozenset[str]()
        """Hosts whose messages all arrive twice, the second time late."""
        self.no_replies = False
        """Whether every reply is lost."""
        self.placing = Placing(0)
        self.hung: set[InstanceId] = set()
        """Guests with a call that did not return in time."""

    def fate(self, subject: str) -> Fate:
        """The deliveries of one message or reply."""
        random = self.random
        longest = SLOW_S if self.slow else USUAL_S
        delay = random.uniform(0.0001, longest)
        if (host := _sender(subject)) in self.late_from:
            return self._counted("late", (random.uniform(*self.late_s),))
        if host in self.echoes_of:
            return self._counted("doubled", (delay, random.uniform(*self.late_s)))
        if self.no_replies and subject.startswith("reply."):
            return self._counted("lost", ())
        if self.loss and random.random() < self.loss:
            return self._counted("lost", ())
        if self.doubling and random.random() < self.doubling:
            return self._counted("doubled", (delay, random.uniform(0.0001, longest)))
        if self.late and random.random() < self.late:
            later = random.uniform(*LATE_S)
            return self._counted("late", (delay, later) if random.random() < 0.5 else (later,))
        return Fate((delay,))

    def _counted(self, kind: str, deliveries: tuple[float, ...]) -> Fate:
        self.counted[kind] += 1
        if deliveries and (exchange := EXCHANGE.get()) is not None:
            exchange.copied = True
        return Fate(deliveries)

    def of_write(self) -> str:
        """The fault of one transaction; empty: none."""
        for kind, probability in (
            ("refused", 1.0 if self.full else self.refused),
            ("unanswered", self.unanswered),
            ("again", self.again),
        ):
            if probability and self.random.random() < probability:
                self.counted[kind] += 1
                return kind
        return ""

    def of_read(self) -> str:
        """The fault of one read; empty: none.  A full disk can be read."""
        return "refused" if self.refused and self.random.random() < self.refused else ""

    async def of_placement(self) -> str:
        """The fault of a transaction that places a server; empty: none."""
        placing = self.placing
        if not placing.times:
            return ""
        placing.times -= 1
        await asyncio.sleep(placing.waits_s)
        return "refused" if placing.refused else ""

    async def of_call(self, call: str, guest: InstanceId | None) -> Exception | None:
        """The fault of one driver call: see kilonova.virt.fake.machine.BeforeCall."""
        random = self.random
        await asyncio.sleep(random.uniform(0, 0.2))
        aim = self.aims.get(guest) if guest is not None else None
        aimed, hang_s = aim.fault(call) if aim is not None else ("", 0.0)
        if (self.driver_hangs and random.random() < self.driver_hangs) or aimed == "hangs":
            self.counted["driver call hung"] += 1
            hang_s = hang_s if aimed else random.uniform(0, HANG_S)
            await asyncio.sleep(min(hang_s, CALL_S))
            if guest is not None and hang_s > CALL_S:
                self.hung.add(guest)
                return Hung(hang_s - CALL_S)
        if aimed == "has no answer":
            self.counted["driver call had no answer"] += 1
            raise HypervisorUnavailable("The hypervisor does not answer for this guest.")
        if (self.driver_fails and random.random() < self.driver_fails) or aimed == "fails":
            self.counted["driver call failed"] += 1
            raise HypervisorError("The hypervisor refuses this call.")
        if (self.driver_lies and random.random() < self.driver_lies) or aimed == "lies":
            self.counted["driver call failed after its work"] += 1
            return OutcomeUnknown("The connection was lost: the call may have happened.")
        if (self.driver_cuts_off and random.random() < self.driver_cuts_off) or aimed == "is cut off":
            self.counted["driver call executed late"] += 1
            return CutOff(random.uniform(0, HANG_S))
        return None
