# SPDX-License-Identifier: Apache-2.0
"""An unrescue that failed left a server in RESCUE whose guest was off, and which could not be rebuilt."""

from pathlib import Path

import pytest

from kilonova.objects.states import PowerState, Verb, VmState
from tests.unit.conductor.desk import Desk
from tests.unit.conductor.test_power_verbs import OTHER, asks, ends


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.active()
    asks(made, Verb.RESCUE)
    ends(made)
    made.accept(Verb.UNRESCUE, "req-unrescue")
    return made


def test_it_is_in_error_and_can_be_rebuilt(desk: Desk) -> None:
    ends(desk, PowerState.SHUTDOWN, succeeded=False)
    now = desk.instance()
    assert (now.vm_state, now.fault.message if now.fault else None) == (VmState.ERROR, "It would not.")
    asks(desk, Verb.REBUILD, image=OTHER)
    ends(desk)
    assert (desk.instance().vm_state, desk.instance().rescue_image) == (VmState.ACTIVE, None)


def test_one_that_was_refused_before_anything_was_changed_is_rescued_still(desk: Desk) -> None:
    ends(desk, PowerState.RUNNING, succeeded=False)
    now = desk.instance()
    assert (now.vm_state, now.rescue_image, now.fault) == (VmState.RESCUED, OTHER, None)


def test_a_hard_reboot_out_of_the_error_boots_its_own_disk(desk: Desk) -> None:
    ends(desk, PowerState.SHUTDOWN, succeeded=False)
    assert desk.instance().rescue_image == OTHER
    desk.accept(Verb.REBOOT, "req-reboot", type="HARD")
    assert desk.instance().rescue_image is None
