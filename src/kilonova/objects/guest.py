# SPDX-License-Identifier: Apache-2.0
"""The state of a guest, as its hypervisor reports it."""

from dataclasses import dataclass

from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState


@dataclass(frozen=True, slots=True)
class GuestState:
    """One read of one guest.  `reason` is the hypervisor's word for the cause of the state ("booted", "shutdown",
    "ioerror"); `start_token` is the token of the guest's last start (see ComputeDriver.power_on)."""

    power: PowerState
    reason: str = ""
    start_token: str | None = None


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
