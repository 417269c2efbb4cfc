# SPDX-License-Identifier: Apache-2.0
"""Accept, hand out, end: what is accepted is recorded once, and a stale word changes nothing."""

from pathlib import Path

import pytest

from kilonova.base.errors import InvalidState, NotFound, StaleWrite
from kilonova.db.readers import actions as read_actions
from kilonova.objects.states import ActionState, PowerState, TaskState, Verb, VmState
from tests.unit.conductor.desk import ONE, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_create_goes_from_accepted_to_active(desk: Desk) -> None:
    desk.register()
    action_id = desk.create()
    assert (desk.instance().vm_state, desk.instance().task_state) == (VmState.BUILDING, TaskState.SCHEDULING)
    assert desk.place(action_id) == "h1"
    assert desk.instance().task_state is TaskState.SPAWNING
    item = desk.fetch("t1").items[0]
    assert (item.action.id, item.action.attempt, item.instance.id) == (action_id, "t1", ONE)
    desk.finish(item.action)
    built = desk.instance()
    assert (built.vm_state, built.task_state, built.power_state) == (VmState.ACTIVE, None, PowerState.RUNNING)
    assert built.launched_at is not None
    assert desk.newest_action().state is ActionState.DONE


def test_the_same_create_delivered_twice_is_recorded_once(desk: Desk) -> None:
    desk.create()
    desk.create()
    assert len(desk.read(read_actions.of_instance, ONE)) == 1


def test_active_only_if_the_hypervisor_says_so(desk: Desk) -> None:
    desk.register()
    desk.place(desk.create())
    desk.finish(desk.fetch("t").items[0].action, power=PowerState.SHUTDOWN)
    assert desk.instance().vm_state is VmState.STOPPED


def test_a_failed_create_is_error_with_its_reason(desk: Desk) -> None:
    desk.register()
    desk.place(desk.create())
    desk.finish(desk.fetch("t").items[0].action, succeeded=False, power=None, message="The disk is full.")
    broken = desk.instance()
    assert (broken.vm_state, broken.task_state) == (VmState.ERROR, None)
    assert broken.fault is not None
    assert broken.fault.message == "The disk is full."
    assert desk.newest_action().state is ActionState.FAILED


def test_a_request_delivered_twice_is_one_action_even_after_its_end(desk: Desk) -> None:
    desk.active()
    desk.accept(Verb.STOP, "req-stop")
    desk.accept(Verb.STOP, "req-stop")
    desk.finish(desk.fetch("t").items[0].action, power=PowerState.SHUTDOWN)
    desk.accept(Verb.STOP, "req-stop")
    verbs = [action.verb for action in desk.read(read_actions.of_instance, ONE)]
    assert verbs == [Verb.STOP, Verb.CREATE]


def test_one_action_at_a_time(desk: Desk) -> None:
    desk.active()
    desk.accept(Verb.STOP, "req-stop")
    with pytest.raises(InvalidState, match="task_state powering-off"):
        desk.accept(Verb.REBOOT, "req-reboot")


@pytest.mark.parametrize("verb", [Verb.STOP, Verb.START, Verb.REBOOT])
def test_nothing_but_a_delete_while_building(desk: Desk, verb: Verb) -> None:
    desk.register()
    desk.place(desk.create())
    with pytest.raises(InvalidState, match="vm_state building"):
        desk.accept(verb, "req-2")


def test_a_delete_supersedes_what_is_open_and_its_outcome_is_no_longer_taken(desk: Desk) -> None:
    desk.register()
    desk.place(desk.create())
    building = desk.fetch("t1").items[0].action
    assert desk.accept(Verb.DELETE, "req-delete") == "h1"
    fetched = desk.fetch("t2", running=(building.leg_id,))
    assert fetched.revoked == (building.leg_id,)
    assert [item.action.verb for item in fetched.items] == [Verb.DELETE]
    desk.finish(building)  # the build ended at that very moment: accepted, and changes nothing
    assert desk.instance().task_state is TaskState.DELETING
    desk.finish(fetched.items[0].action, power=None)
    with pytest.raises(NotFound):
        desk.instance()
    states = [(a.verb, a.state) for a in desk.read(read_actions.of_instance, ONE)]
    assert states == [(Verb.DELETE, ActionState.DONE), (Verb.CREATE, ActionState.SUPERSEDED)]


def test_a_second_delete_changes_nothing(desk: Desk) -> None:
    desk.active()
    desk.accept(Verb.DELETE, "req-d1")
    desk.accept(Verb.DELETE, "req-d2")
    assert [a.request_id for a in desk.read(read_actions.of_instance, ONE)] == ["req-d1", "req-create"]


def test_a_delete_before_a_host_was_chosen_ends_at_once_and_is_never_placed(desk: Desk) -> None:
    desk.register()
    action_id = desk.create()
    assert desk.accept(Verb.DELETE, "req-delete") is None
    with pytest.raises(NotFound):
        desk.instance()
    assert desk.place(action_id) is None
    assert desk.node().running_vms == 0


def test_a_deleted_instance_gives_back_what_it_had(desk: Desk) -> None:
    desk.active()
    before = desk.node()
    assert (before.vcpus_used, before.memory_mib_used, before.disk_gib_used, before.running_vms) == (1, 128, 1, 1)
    desk.accept(Verb.DELETE, "req-delete")
    desk.finish(desk.fetch("t").items[0].action, power=None)
    after = desk.node()
    assert (after.vcpus_used, after.memory_mib_used, after.disk_gib_used, after.running_vms) == (0, 0, 0, 0)


def test_an_outcome_of_an_older_attempt_is_refused(desk: Desk) -> None:
    desk.register()
    desk.place(desk.create())
    first = desk.fetch("t1").items[0].action
    second = desk.fetch("t2").items[0].action  # as a host that was restarted asks
    with pytest.raises(StaleWrite):
        desk.finish(first, succeeded=False, power=None, message="I was killed")
    assert desk.instance().vm_state is VmState.BUILDING
    desk.finish(second)
    desk.finish(second)  # delivered twice
    assert desk.instance().vm_state is VmState.ACTIVE


def test_an_older_process_of_a_host_gets_no_work(desk: Desk) -> None:
    desk.register()
    desk.place(desk.create())
    assert desk.register(process="process-1") == 1
    assert desk.register(process="process-2") == 2
    with pytest.raises(StaleWrite):
        desk.fetch("t1", epoch=1)
    assert len(desk.fetch("t2", epoch=2).items) == 1


def test_a_fetch_delivered_twice_hands_out_the_same(desk: Desk) -> None:
    desk.register()
    desk.place(desk.create())
    first, second = desk.fetch("t1").items[0].action, desk.fetch("t1").items[0].action
    assert (first.id, first.attempt) == (second.id, second.attempt)
    desk.finish(first)
    assert desk.instance().vm_state is VmState.ACTIVE


def test_an_action_that_failed_leaves_the_instance_what_it_is(desk: Desk) -> None:
    desk.active()
    desk.accept(Verb.REBOOT, "req-r", type="SOFT")
    assert desk.instance().task_state is TaskState.REBOOTING
    desk.finish(desk.fetch("t").items[0].action, succeeded=False, message="no")
    assert (desk.instance().vm_state, desk.instance().task_state) == (VmState.ACTIVE, None)
    desk.accept(Verb.REBOOT, "req-h", type="HARD")
    assert desk.instance().task_state is TaskState.REBOOTING_HARD
    desk.finish(desk.fetch("t").items[0].action, succeeded=False, power=PowerState.SHUTDOWN, message="no")
    assert desk.instance().vm_state is VmState.STOPPED
