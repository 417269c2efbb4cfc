# SPDX-License-Identifier: Apache-2.0
"""libvirt's states and reasons in this service's terms."""

from collections.abc import Mapping

import libvirt

from kilonova.objects.guest import GuestState
from kilonova.objects.states import SAVED, PowerState

_POWER: Mapping[int, PowerState] = {
    libvirt.VIR_DOMAIN_NOSTATE: PowerState.NOSTATE,
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.RUNNING,  # it is shutting down, and is not off yet
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.SUSPENDED,
}

_EXACT: Mapping[tuple[int, int], PowerState] = {
    (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED): PowerState.CRASHED,
    # In the middle of a start or an end: the pause is part of it, not a state to be shown.
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP): PowerState.NOSTATE,
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_SHUTTING_DOWN): PowerState.NOSTATE,
}

_STATE_NAMES: Mapping[int, str] = {
    libvirt.VIR_DOMAIN_RUNNING: "RUNNING",
    libvirt.VIR_DOMAIN_BLOCKED: "BLOCKED",
    libvirt.VIR_DOMAIN_PAUSED: "PAUSED",
    libvirt.VIR_DOMAIN_SHUTDOWN: "SHUTDOWN",
    libvirt.VIR_DOMAIN_SHUTOFF: "SHUTOFF",
    libvirt.VIR_DOMAIN_CRASHED: "CRASHED",
    libvirt.VIR_DOMAIN_PMSUSPENDED: "PMSUSPENDED",
}


def _reason_names() -> dict[tuple[int, int], str]:
    """libvirt's own terms, from its constants: VIR_DOMAIN_PAUSED_IOERROR is "ioerror"."""
    words: dict[tuple[int, int], str] = {}
    for state, name in _STATE_NAMES.items():
        prefix = f"VIR_DOMAIN_{name}_"
        for constant, value in vars(libvirt).items():
            if constant.startswith(prefix) and not constant.endswith("_LAST"):
                words[state, value] = constant.removeprefix(prefix).lower().replace("_", "-")
    return words


_REASONS = _reason_names()


RUNNING = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_BLOCKED)
STARTING_UP = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP)
BEING_SAVED = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_SAVE)


def power_of(state: int, reason: int) -> PowerState:
    """The power state for libvirt's pair; unknown numbers are NOSTATE, never off."""
    return _EXACT.get((state, reason), _POWER.get(state, PowerState.NOSTATE))


def reason_name(state: int, reason: int) -> str:
    """libvirt's term for how a domain came into its state; empty when libvirt does not know."""
    word = _REASONS.get((state, reason), "")
    return "" if word == "unknown" else word


def guest_state(state: int, reason: int, *, saved: bool, start_token: str | None) -> GuestState:
    """The reported state of a guest. `saved`: it is off, and libvirt keeps its memory."""
    if saved:  # a restarted daemon does not know why the domain is off, but still knows that its memory is saved
        return GuestState(PowerState.SUSPENDED, SAVED, start_token)
    return GuestState(power_of(state, reason), reason_name(state, reason), start_token)
