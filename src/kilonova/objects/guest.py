# SPDX-License-Identifier: Apache-2.0
"""The state of a guest, as its hypervisor reports it."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState


@dataclass(frozen=True, slots=True)
class GuestState:
    """One read of one guest.  `reason` is the hypervisor's word for the cause of the state ("booted", "shutdown",
    "ioerror"); `start_token` is the token of the guest's last start (see ComputeDriver.power_on)."""

    power: PowerState
    reason: str = ""
    start_token: str | None = None


ReadNumber = Annotated[int, Field(ge=0, lt=2**63)]
"""The number of a read among the reads of one process; 0: the process does not number its reads."""


@dataclass(frozen=True, slots=True)
class ReadMark:
    """Which read of a guest: the process of the host that made it, and its number there.

    A read takes its number before it begins.  So of two reads by one process, the one with the lower number may be
    older than changes that the other has seen, and never the reverse.  Reads of different processes have no order
    here; the epoch of a process fences them.
    """

    process_id: Annotated[str, Field(max_length=36, pattern=r"^[ -~]*$")]
    number: ReadNumber

    def is_before(self, other: "ReadMark | None") -> bool:
        """Whether the same process began `other` later."""
        return other is not None and self.process_id == other.process_id and self.number < other.number


NOT_RESPONDING = "not responding"
"""The reason of a NOSTATE that lasts: the hypervisor reports the guest as running, and the guest's own process does not
answer."""

RECONNECTED = "reconnected"
"""The kind of event that reports only that the hypervisor is reachable again."""


@dataclass(frozen=True, slots=True)
class GuestEvent:
    """A hint that something happened to a guest.  It triggers a read, and does not state what is true now."""

    instance_id: InstanceId
    kind: str
    detail: str = ""
