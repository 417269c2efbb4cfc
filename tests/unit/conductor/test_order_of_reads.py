# SPDX-License-Identifier: Apache-2.0
"""The reads of a guest have an order: a report that is older than the record changes nothing."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kilonova.db.readers import instances as read_instances
from kilonova.objects.guest import ReadMark
from kilonova.objects.states import OBSERVED, PowerState, Verb, VmState, changes_nothing, desired, observed
from kilonova.rpcapi.host_to_conductor import FINISH, REPORT_STATES
from tests.unit.conductor.desk import ONE, Desk
from tests.unit.conductor.test_shelving import Shelf

FIRST, SECOND = "process-1", "process-2"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    found = Desk(tmp_path)
    found.register()
    found.place(found.create())
    found.finish(found.fetch("t-create").items[0].action, read=ReadMark(FIRST, 5))
    return found


def act(desk: Desk, verb: Verb, power: PowerState, number: int) -> bool:
    """An action; whether its end says that its state is recorded."""
    desk.accept(verb, f"req-{verb}")
    (item,) = desk.fetch(f"t-{verb}").items
    return desk.finish(item.action, power=power, read=ReadMark(FIRST, number)).recorded


def recorded(desk: Desk) -> tuple[VmState, PowerState, int | None]:
    instance, read = desk.read(read_instances.get_with_read, ONE)
    return instance.vm_state, instance.power_state, read.number if read else None


def test_a_read_from_before_an_action_changes_nothing_after_its_end(desk: Desk) -> None:
    act(desk, Verb.SUSPEND, PowerState.SUSPENDED, 8)
    before = desk.instance(), desk.actions()
    assert not desk.observe(PowerState.RUNNING, number=7)
    assert (desk.instance(), desk.actions()) == before
    assert desk.observe(PowerState.RUNNING, number=9)
    assert recorded(desk) == (VmState.ACTIVE, PowerState.RUNNING, 9)


def test_reports_that_change_places_leave_the_newer_state(desk: Desk) -> None:
    assert desk.observe(PowerState.PAUSED, number=7)
    assert not desk.observe(PowerState.SHUTDOWN, number=6)
    assert recorded(desk) == (VmState.PAUSED, PowerState.PAUSED, 7)


def test_a_report_that_changed_nothing_is_newer_all_the_same(desk: Desk) -> None:
    updated_at = desk.instance().updated_at
    assert desk.observe(PowerState.RUNNING, number=7)
    assert not desk.observe(PowerState.SHUTDOWN, number=6)
    assert recorded(desk) == (VmState.ACTIVE, PowerState.RUNNING, 7)
    assert desk.instance().updated_at == updated_at


def test_a_repeat_is_recorded_already(desk: Desk) -> None:
    assert desk.observe(PowerState.PAUSED, number=7)
    actions = desk.actions()
    assert desk.observe(PowerState.PAUSED, number=7)
    assert desk.actions() == actions


def test_the_next_process_of_the_host_begins_its_numbers_again(desk: Desk) -> None:
    epoch = desk.register(process=SECOND)
    assert desk.observe(PowerState.PAUSED, epoch=epoch, number=1)
    assert recorded(desk) == (VmState.PAUSED, PowerState.PAUSED, 1)


def test_the_numbers_of_another_host_are_other_numbers(tmp_path: Path) -> None:
    """The server moves to another host: it is shelved, and started from its image there."""
    desk = Shelf(tmp_path)
    desk.shelved()
    assert desk.observe(PowerState.SHUTDOWN, number=70)
    desk.accept(Verb.SHELVE_OFFLOAD, "req-offload")
    desk.finish(desk.fetch("t-offload").items[0].action, power=None, read=ReadMark(FIRST, 80))
    desk.set_up("h1", up=False)
    desk.register("h2", SECOND)
    desk.accept(Verb.UNSHELVE, "req-unshelve")
    assert desk.place_waiting() == "h2"
    (item,) = desk.fetch("t-unshelve", host="h2").items
    desk.finish(item.action, read=ReadMark(SECOND, 2))
    assert not desk.observe(PowerState.PAUSED, number=1, host="h2")
    assert desk.observe(PowerState.PAUSED, number=3, host="h2")


def test_a_host_without_numbers_is_heard_as_before(desk: Desk) -> None:
    assert desk.observe(PowerState.PAUSED)
    assert recorded(desk) == (VmState.PAUSED, PowerState.PAUSED, 5)
    desk.accept(Verb.UNPAUSE, "req-unpause")
    (item,) = desk.fetch("t-unpause").items
    assert desk.finish(item.action).recorded
    assert desk.observe(PowerState.SHUTDOWN)


def test_an_action_that_no_host_received_ends_no_order(desk: Desk) -> None:
    """A read from before such an action is as good as one from after it: nothing has changed the guest."""
    desk.accept(Verb.STOP, "req-stop")
    assert not desk.observe(PowerState.PAUSED, number=6), "the action decides"
    desk.look(desk.newest_action().deadline - desk.now)
    assert desk.actions()[0].ended_at is not None
    assert desk.observe(PowerState.PAUSED, number=6)


def test_an_end_says_whether_its_state_is_recorded(desk: Desk) -> None:
    assert act(desk, Verb.PAUSE, PowerState.PAUSED, 8)
    assert act(desk, Verb.UNPAUSE, PowerState.RUNNING, 9)
    # A guest that is off although it should run: whether it is to stay off follows from the reason of the next report.
    assert not act(desk, Verb.CREATE_IMAGE, PowerState.SHUTDOWN, 10)
    assert desk.instance().desired_power is PowerState.RUNNING


def test_a_repeated_end_says_nothing_about_the_record(desk: Desk) -> None:
    desk.accept(Verb.PAUSE, "req-pause")
    (item,) = desk.fetch("t-pause").items
    mark = ReadMark(FIRST, 8)
    assert desk.finish(item.action, power=PowerState.PAUSED, read=mark).recorded
    assert not desk.finish(item.action, power=PowerState.PAUSED, read=mark).recorded


@pytest.mark.parametrize(("process_id", "number"), [("p" * 37, 1), ("\0", 1), ("p", -1), ("p", 2**63)])
def test_a_mark_that_no_host_makes_is_refused(process_id: str, number: int) -> None:
    report: dict[str, Any] = {
        "host": "h1",
        "leg": {"action_id": "a", "index": 0},
        "attempt": "t",
        "succeeded": True,
        "power": 1,
    }
    assert FINISH.request_form.validate_python({**report, "read": {"process_id": "p", "number": 1}})
    with pytest.raises(ValidationError):
        FINISH.request_form.validate_python({**report, "read": {"process_id": process_id, "number": number}})


def test_a_report_with_an_impossible_number_is_left_out() -> None:
    states = [{"instance_id": ONE, "power": 1, "number": number} for number in (2**63, 2**63 - 1)]
    request = REPORT_STATES.request_form.validate_python({"host": "h1", "epoch": 1, "states": states})
    assert [seen.number for seen in request.states] == [2**63 - 1]


@pytest.mark.parametrize("vm_state", VmState)
def test_what_changes_nothing_changes_nothing_for_any_reason(vm_state: VmState) -> None:
    reasons = ("", "shutdown", "destroyed", "crashed", "failed", "saved", "booted")
    for power, wanted in product(PowerState, PowerState):
        after = {(observed(vm_state, power), desired(wanted, power, reason)) for reason in reasons}
        if changes_nothing(vm_state, power, wanted):
            assert after == {(vm_state, wanted)}
        else:
            assert after != {(vm_state, wanted)}, (power, wanted)
    assert OBSERVED
