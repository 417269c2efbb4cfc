# SPDX-License-Identifier: Apache-2.0
"""What a hypervisor says of a guest."""

from dataclasses import dataclass

from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState


@dataclass(frozen=True, slots=True)
class GuestState:
    """One read of one guest.  `reason` is the hypervisor's own word for how it came to be so ("booted", "shutdown",
    "ioerror"); `start_token` is the token of the guest's last start (see ComputeDriver.power_on)."""

    power: PowerState
    reason: str = ""
    start_token: str | None = None


NOT_RESPONDING = "not responding"
"""The reason of a NOSTATE that lasts: the hypervisor calls the guest running, and the guest's own process answers
nothing."""

RECONNECTED = "reconnected"
"""The kind of event that says no more than that the hypervisor is there again."""


@dataclass(frozen=True, slots=True)
class GuestEvent:
    """A hint that something happened to a guest.  It says "look", not what is true now."""

    instance_id: InstanceId
    kind: str
    detail: str = ""
