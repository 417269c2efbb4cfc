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
class _Record:
    """`sent` is the newest read of a guest that was sent, in the registration of that number.  `recorded` is the state
    of that read once the conductor has recorded it, with None for any reason; `newest` is the newest read that found
    this state."""

    registration: int
    sent: int
    newest: int = 0
    recorded: tuple[PowerState | None, str | None] | None = None

    def has(self, seen: Observed) -> bool:
        """Whether the record has this state."""
        return self.recorded in ((seen.power, None), (seen.power, seen.reason))


_NOTHING = _Record(0, 0)


class GuestRecords:
    """What is recorded of a guest is known only while the newest report about it is acknowledged as recorded, in the
    current registration.  After a report that was refused, or whose outcome is unknown, it is not known, and the next
    read of the guest is reported.
    """

    def __init__(self, process_id: str, registrations: Callable[[], int]) -> None:
        self._process_id, self._registrations = process_id, registrations
        self._numbers = count(1)
        self._guests: dict[InstanceId, _Record] = {}

    def new_read(self) -> ReadMark:
        """The mark of a read that begins now."""
        return ReadMark(self._process_id, next(self._numbers))

    def news(self, found: Iterable[Observed]) -> tuple[Observed, ...]:
        """The reads without those that found what is recorded, and without those that are not current."""
        return tuple(seen for seen in self.current(found) if not self._is_recorded(seen))

    def current(self, found: Iterable[Observed]) -> tuple[Observed, ...]:
        """The reads without those that began before the newest read that found what is recorded."""
        return tuple(seen for seen in found if seen.number >= self._of(seen.instance_id).newest)

    def _is_recorded(self, seen: Observed) -> bool:
        record = self._of(seen.instance_id)
        if not record.has(seen):
            return False
        record.newest = seen.number
        return True

    def _of(self, instance_id: InstanceId) -> _Record:
        record = self._guests.get(instance_id)
        return record if record is not None and record.registration == self._registrations() else _NOTHING

    def sends(self, instance_id: InstanceId, number: int) -> None:
        """A report of this read is sent: until it is acknowledged, the record is not known."""
        record = self._guests.get(instance_id)
        sent = number if record is None else max(record.sent, number)
        self._guests[instance_id] = _Record(self._registrations(), sent)

    def recorded(self, instance_id: InstanceId, number: int, power: PowerState | None, reason: str | None) -> None:
        """The conductor has recorded this read.  `reason` None: whatever the reason, a report of this power state would
        change nothing."""
        record = self._guests.get(instance_id)
        if record is not None and record.sent == number:
            record.newest, record.recorded = number, (power, reason)

    def keep(self, guests: Collection[InstanceId]) -> None:
        """Forget all other guests: they are not on this host any more."""
        self._guests = {id_: record for id_, record in self._guests.items() if id_ in guests}
