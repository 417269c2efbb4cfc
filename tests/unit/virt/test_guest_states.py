# SPDX-License-Identifier: Apache-2.0
"""libvirt's states and reasons as ours.  Unknown is never shown as off."""

import libvirt
import pytest

from kilonova.objects.guest import GuestState
from kilonova.objects.states import SAVED, PowerState
from kilonova.virt.libvirt.domain import states

TABLE = [
    ("RUNNING", "BOOTED", PowerState.RUNNING, "booted"),
    ("BLOCKED", "UNKNOWN", PowerState.RUNNING, ""),
    ("PAUSED", "USER", PowerState.PAUSED, "user"),
    ("PAUSED", "IOERROR", PowerState.PAUSED, "ioerror"),
    ("PAUSED", "CRASHED", PowerState.PAUSED, "crashed"),
    ("PAUSED", "STARTING_UP", PowerState.NOSTATE, "starting-up"),
    ("PAUSED", "SHUTTING_DOWN", PowerState.NOSTATE, "shutting-down"),
    ("PAUSED", "MIGRATION", PowerState.PAUSED, "migration"),  # also of one that stood still when it was saved
    ("PAUSED", "SAVE", PowerState.PAUSED, "save"),
    ("SHUTDOWN", "USER", PowerState.RUNNING, "user"),
    ("SHUTOFF", "SHUTDOWN", PowerState.SHUTDOWN, "shutdown"),
    ("SHUTOFF", "DESTROYED", PowerState.SHUTDOWN, "destroyed"),
    ("SHUTOFF", "SAVED", PowerState.SHUTDOWN, "saved"),  # to a file that libvirt does not keep, unless it says so
    ("SHUTOFF", "CRASHED", PowerState.CRASHED, "crashed"),
    ("SHUTOFF", "UNKNOWN", PowerState.SHUTDOWN, ""),
    ("CRASHED", "PANICKED", PowerState.CRASHED, "panicked"),
    ("PMSUSPENDED", "UNKNOWN", PowerState.SUSPENDED, ""),
]


@pytest.mark.parametrize(("state", "reason", "power", "word"), TABLE)
def test_states_and_reasons(state: str, reason: str, power: PowerState, word: str) -> None:
    pair = getattr(libvirt, f"VIR_DOMAIN_{state}"), getattr(libvirt, f"VIR_DOMAIN_{state}_{reason}")
    assert states.power_of(*pair) is power
    assert states.reason_name(*pair) == word


def test_a_domain_whose_memory_libvirt_keeps_is_suspended_whatever_the_daemon_remembers() -> None:
    for reason in (libvirt.VIR_DOMAIN_SHUTOFF_SAVED, libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN):
        seen = states.guest_state(libvirt.VIR_DOMAIN_SHUTOFF, reason, saved=True, start_token="m")
        assert seen == GuestState(PowerState.SUSPENDED, SAVED, "m")


def test_what_libvirt_may_say_one_day_is_unknown_and_not_off() -> None:
    assert states.power_of(libvirt.VIR_DOMAIN_NOSTATE, 0) is PowerState.NOSTATE
    assert states.power_of(99, 0) is PowerState.NOSTATE
    assert states.power_of(-1, -1) is PowerState.NOSTATE
    assert states.reason_name(99, 7) == ""
