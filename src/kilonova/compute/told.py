# SPDX-License-Identifier: Apache-2.0
"""The order of this process's reads of guests, and what the conductor has recorded from them."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import count

from kilonova.objects.guest import ReadMark
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.rpcapi.host_to_conductor import Observed


@dataclass(slots=True)
class _Told:
    """`sent` is the newest read of a guest that was sent, `registration` the one under which.  `recorded` is the state
    of that read once the conductor has recorded it, with None for any reason; `newest` is the newest read that has
    found this state."""

    registration: int
    sent: int
    newest: int = 0
    recorded: tuple[PowerState | None, str | None] | None = None

    def has(self, seen: Observed) -> bool:
        """Whether the record has this state."""
        return self.recorded in ((seen.power, None), (seen.power, seen.reason))


_NOTHING = _Told(0, 0)


class Told:
    """What is recorded of a guest is known only while the newest report about it is acknowledged as recorded, in the
    current registration.  After a report that was refused, or whose outcome is unknown, it is not known, and the next
    read of the guest is reported.
    """

    def __init__(self, process_id: str, registrations: Callable[[], int]) -> None:
        self._process_id, self._registrations = process_id, registrations
        self._numbers = count(1)
        self._guests: dict[InstanceId, _Told] = {}

    def new_read(self) -> ReadMark:
        """The mark of a read that begins now."""
        return ReadMark(self._process_id, next(self._numbers))

    def news(self, found: Iterable[Observed]) -> tuple[Observed, ...]:
        """The reads without those that found what is recorded, and without those that are not current."""
        return tuple(seen for seen in self.current(found) if not self._is_recorded(seen))

    def current(self, found: Iterable[Observed]) -> tuple[Observed, ...]:
        """The reads without those that began before the newest one that found what is recorded."""
        return tuple(seen for seen in found if seen.number >= self._of(seen.instance_id).newest)

    def _is_recorded(self, seen: Observed) -> bool:
        told = self._of(seen.instance_id)
        if not told.has(seen):
            return False
        told.newest = seen.number
        return True

    def _of(self, instance_id: InstanceId) -> _Told:
        told = self._guests.get(instance_id)
        return told if told is not None and told.registration == self._registrations() else _NOTHING

    def sends(self, instance_id: InstanceId, number: int) -> None:
        """A report of this read is sent: until it is acknowledged, the record is not known."""
        told = self._guests.get(instance_id)
        sent = number if told is None else max(told.sent, number)
        self._guests[instance_id] = _Told(self._registrations(), sent)

    def recorded(self, instance_id: InstanceId, number: int, power: PowerState | None, reason: str | None) -> None:
        """The conductor has recorded this read.  `reason` None: whatever the reason, a report of this power state would
        change nothing."""
        told = self._guests.get(instance_id)
        if told is not None and told.sent == number:
            told.newest, told.recorded = number, (power, reason)

    def keep(self, guests: Collection[InstanceId]) -> None:
        """Forget all other guests: they are not on this host any more."""
        self._guests = {id_: told for id_, told in self._guests.items() if id_ in guests}
