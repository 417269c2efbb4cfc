# SPDX-License-Identifier: Apache-2.0
"""The conductor goes from leg to leg, and accepts only what is said of the leg, under the attempt, by the host."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kilonova.base.errors import NotFound, StaleWrite
from kilonova.conductor.engine import reports
from kilonova.conductor.engine.legs import fail
from kilonova.conductor.hosts import forgotten, guests, host_boot, lost_hosts, processes
from kilonova.db.readers import instances as read_instances
from kilonova.db.transaction import Transaction
from kilonova.objects.action import Action
from kilonova.objects.guest import ReadMark
from kilonova.objects.ids import AttemptId, HostName
from kilonova.objects.instance import Instance
from kilonova.objects.leg import Leg, LegId, Legs, LegState, planned
from kilonova.objects.states import ActionState, PowerState, Verb, VmState
from kilonova.rpcapi.host_to_conductor import ClassifyGuests, ConfirmAttempt, Finish, ListExpected, RegisterHost
from kilonova.rpcapi.work import WorkItem
from tests.unit.conductor.desk import ONE, Desk

H1, H2 = HostName("h1"), HostName("h2")
UP, DOWN = PowerState.RUNNING, PowerState.PAUSED


def two_hosts(_tx: Transaction, instance: Instance) -> Legs:
    return planned(Leg(instance.host, "leave"), Leg(H2, "arrive"), Leg(instance.host, "tidy"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Instance ONE runs on h1; its pause has a leg there, one on h2, and another one on h1."""
    desk = Desk(tmp_path)
    desk.active()
    desk.register("h2")
    desk.plans = {Verb.PAUSE: two_hosts}
    desk.accept(Verb.PAUSE, "req-pause")
    return desk


def item(desk: Desk, host: str, attempt: str) -> WorkItem:
    (found,) = desk.fetch(attempt, host=host).items
    return found


def report(
    desk: Desk,
    action: Action,
    *,
    succeeded: bool = True,
    power: PowerState | None = UP,
    read: ReadMark | None = None,
) -> reports.Finished:
    assert action.host is not None
    assert action.attempt is not None
    message = None if succeeded else "no room"
    finish = Finish(action.host, action.leg_id, action.attempt, succeeded, power, (), message, read=read)
    return desk.write(reports.finish, finish, lambda: "id", desk.now)


def states(desk: Desk) -> list[str]:
    return [f"{leg.operation}@{leg.host} {leg.state}" for leg in desk.newest_action().legs]


def down(desk: Desk, host: HostName, *, forced: bool = True) -> None:
    from kilonova.db.readers.hosts import COMPUTE
    from kilonova.db.writers import hosts as write_hosts

    def call(tx: Transaction) -> None:
        write_hosts.update_service(tx, host, COMPUTE, desk.now, forced_down=forced)
        lost_hosts.call_down(tx, host, desk.now, forced=forced)

    desk.write(call)


def test_a_leg_is_handed_out_when_the_one_before_is_done_and_its_host_is_woken(desk: Desk) -> None:
    assert desk.fetch("b1", host="h2").items == ()
    first = item(desk, "h1", "a1").action
    assert report(desk, first).wake == H2
    assert desk.fetch("a2").items == ()
    second = item(desk, "h2", "b1").action
    assert (second.current, second.leg.operation) == (1, "arrive")
    assert report(desk, second, power=None).wake == H1
    third = item(desk, "h1", "a3").action
    assert (third.current, third.leg.operation) == (2, "tidy")
    assert report(desk, third, power=DOWN).wake is None
    assert (desk.newest_action().state, desk.instance().vm_state) == (ActionState.DONE, VmState.PAUSED)


def test_a_failure_undoes_what_was_done_and_the_action_ends_once_all_is_undone(desk: Desk) -> None:
    report(desk, item(desk, "h1", "a1").action)
    second = item(desk, "h2", "b1").action
    assert report(desk, second, succeeded=False, power=None).wake == H1
    undo = item(desk, "h1", "a2").action
    assert (undo.leg.undoes, undo.leg.operation, undo.state) == (0, "leave", ActionState.OPEN)
    assert desk.instance().task_state is not None
    report(desk, undo, power=UP)
    ended = desk.newest_action()
    assert (ended.state, ended.message) == (ActionState.FAILED, "no room")
    assert (desk.instance().vm_state, desk.instance().power_state) == (VmState.ACTIVE, UP)  # as h1 has reported


def test_the_record_is_from_the_last_read_by_the_guests_own_host(desk: Desk) -> None:
    here, there = ReadMark("process-1", 8), ReadMark("process-of-h2", 900)
    report(desk, item(desk, "h1", "a1").action)
    report(desk, item(desk, "h2", "b1").action, power=None, read=there)
    assert report(desk, item(desk, "h1", "a3").action, power=DOWN, read=here).recorded
    assert desk.read(read_instances.get_with_read, ONE)[1] == here
    assert not desk.observe(UP, number=7)
    assert desk.observe(UP, number=9)


def test_a_leg_that_ends_before_its_action_records_nothing_of_the_guest(desk: Desk) -> None:
    first = report(desk, item(desk, "h1", "a1").action, read=ReadMark("process-1", 8))
    assert not first.recorded
    assert desk.read(read_instances.get_with_read, ONE)[1] is None
    report(desk, item(desk, "h2", "b1").action, succeeded=False, power=None, read=ReadMark("process-of-h2", 900))
    undone = report(desk, item(desk, "h1", "a2").action, read=ReadMark("process-1", 9))
    assert undone.recorded
    assert desk.read(read_instances.get_with_read, ONE)[1] == ReadMark("process-1", 9)


def test_a_late_report_of_an_earlier_leg_changes_nothing(desk: Desk) -> None:
    first = item(desk, "h1", "a1").action
    report(desk, first)
    before = desk.newest_action()
    report(desk, first)
    report(desk, first, succeeded=False)
    assert replace(desk.newest_action(), updated_at=before.updated_at) == before


def test_a_report_is_of_the_leg_that_it_names_also_under_the_token_of_another(desk: Desk) -> None:
    """A fetch that is delivered late hands the third leg out under the token of the first."""
    first = item(desk, "h1", "a1").action
    report(desk, first)
    report(desk, item(desk, "h2", "b1").action)
    assert item(desk, "h1", "a1").action.leg.operation == "tidy"
    report(desk, first)
    assert states(desk) == ["leave@h1 done", "arrive@h2 done", "tidy@h1 open"]


def test_an_undo_is_not_ended_by_a_late_report_of_what_it_undoes(desk: Desk) -> None:
    first = item(desk, "h1", "a1").action
    report(desk, first)
    report(desk, item(desk, "h2", "b1").action, succeeded=False)
    assert item(desk, "h1", "a1").action.leg.undoes == 0
    report(desk, first)
    assert states(desk) == ["leave@h1 done", "arrive@h2 failed", "leave@h1 open"]


def test_another_hosts_leg_is_refused(desk: Desk) -> None:
    first = item(desk, "h1", "a1").action
    report(desk, first)
    second = item(desk, "h2", "b1").action
    for index, token in ((-1, "b1"), (0, "b1"), (0, "a1"), (2, "b1"), (3, "b1")):
        stale = Finish(H2, LegId(first.id, index), AttemptId(token), True, None)
        with pytest.raises(StaleWrite):
            desk.write(reports.finish, stale, lambda: "id", desk.now)
    assert second.current == desk.newest_action().current == 1


def test_only_the_current_leg_is_confirmed(desk: Desk) -> None:
    first = item(desk, "h1", "a1").action
    confirm = ConfirmAttempt(H1, 1, first.leg_id, AttemptId("a1"))
    desk.read(processes.confirm_attempt, confirm)
    report(desk, first)
    with pytest.raises(StaleWrite):
        desk.read(processes.confirm_attempt, confirm)


def test_a_host_that_still_runs_an_earlier_leg_gets_the_later_one_and_stops_the_earlier(desk: Desk) -> None:
    """Its report has arrived and it does not know so yet."""
    first = item(desk, "h1", "a1").action
    report(desk, first)
    assert desk.fetch("a2", running=(first.leg_id,)).revoked == (first.leg_id,)
    report(desk, item(desk, "h2", "b1").action)
    fetched = desk.fetch("a3", running=(first.leg_id,))
    assert [one.action.current for one in fetched.items] == [2]
    assert fetched.revoked == (first.leg_id,)


def test_a_leg_that_nobody_fetches_fails_at_the_deadline_and_what_was_done_is_undone(desk: Desk) -> None:
    report(desk, item(desk, "h1", "a1").action)
    assert desk.look(timedelta(seconds=130)) == 1
    assert states(desk) == ["leave@h1 done", "arrive@h2 failed", "leave@h1 open"]
    assert "never fetched it" in (desk.newest_action().legs[1].message or "")
    assert desk.look(timedelta(days=1)) == 0  # only its host knows what became of it
    assert desk.newest_action().state is ActionState.OPEN


def test_a_host_hears_that_the_time_is_up_in_whatever_leg(desk: Desk) -> None:
    report(desk, item(desk, "h1", "a1").action)
    second = item(desk, "h2", "b1").action
    assert desk.look(timedelta(seconds=130)) == 0
    assert desk.fetch("b2", host="h2", running=(second.leg_id,)).expired == (second.leg_id,)
    report(desk, second, succeeded=False)
    undo = item(desk, "h1", "a2").action
    assert desk.fetch("a3", running=(undo.leg_id,)).expired == ()  # undoing has time of its own


def test_a_host_that_is_called_down_before_its_leg_fails_it_and_what_was_done_is_undone(desk: Desk) -> None:
    first = item(desk, "h1", "a1").action
    down(desk, H2)
    assert desk.newest_action().state is ActionState.OPEN  # it is not its turn
    assert report(desk, first).wake == H1
    assert states(desk) == ["leave@h1 done", "arrive@h2 failed", "leave@h1 open"]


def test_a_host_that_is_called_down_in_its_leg_holds_the_action_until_it_is_back(desk: Desk) -> None:
    report(desk, item(desk, "h1", "a1").action)
    second = item(desk, "h2", "b1").action
    down(desk, H2)
    assert (desk.newest_action().state, desk.instance().vm_state) == (ActionState.ABANDONED, VmState.ERROR)
    assert desk.fetch("a2").items == ()
    down(desk, H2, forced=False)
    assert (desk.newest_action().state, desk.instance().vm_state) == (ActionState.OPEN, VmState.ACTIVE)
    report(desk, second)
    assert item(desk, "h1", "a3").action.current == 2


def test_a_host_that_was_called_down_and_reports_all_the_same_takes_the_action_on(desk: Desk) -> None:
    report(desk, item(desk, "h1", "a1").action)
    second = item(desk, "h2", "b1").action
    down(desk, H2)
    assert report(desk, second).wake == H1
    assert desk.newest_action().state is ActionState.OPEN
    report(desk, item(desk, "h1", "a3").action, power=DOWN)
    assert (desk.newest_action().state, desk.instance().vm_state) == (ActionState.DONE, VmState.PAUSED)


def test_an_undo_waits_for_a_host_that_was_called_down(desk: Desk) -> None:
    report(desk, item(desk, "h1", "a1").action)
    second = item(desk, "h2", "b1").action
    down(desk, H1)
    report(desk, second, succeeded=False, power=None)
    assert desk.newest_action().state is ActionState.ABANDONED
    down(desk, H1, forced=False)
    report(desk, item(desk, "h1", "a2").action)
    assert desk.newest_action().state is ActionState.FAILED


def test_a_host_whose_service_is_deleted_is_not_waited_for(desk: Desk) -> None:
    first = item(desk, "h1", "a1").action
    desk.write(lambda tx: lost_hosts.forget(tx, H2, desk.now, "gone"))
    desk.write(_forget, H2)
    report(desk, first)
    assert states(desk) == ["leave@h1 done", "arrive@h2 failed", "leave@h1 open"]


def test_the_current_legs_host_can_be_forgotten_too(desk: Desk) -> None:
    report(desk, item(desk, "h1", "a1").action)
    item(desk, "h2", "b1")
    desk.write(lambda tx: lost_hosts.forget(tx, H2, desk.now, "gone"))
    assert states(desk) == ["leave@h1 done", "arrive@h2 failed", "leave@h1 open"]


def _forget(tx: Transaction, host: HostName) -> None:
    from kilonova.db.readers import hosts as read_hosts
    from kilonova.db.writers import hosts as write_hosts

    (service,) = read_hosts.list_services(tx, host=host, binary=read_hosts.COMPUTE)
    write_hosts.delete_service(tx, service)


def test_a_delete_does_not_wait_for_a_host_that_was_given_up(desk: Desk) -> None:
    report(desk, item(desk, "h1", "a1").action)
    item(desk, "h2", "b1")
    assert desk.accept(Verb.DELETE, "req-delete") == H2
    assert states(desk) == ["delete@h2 open", "delete@h1 pending"]
    desk.set_up("h1", up=False)
    desk.write(lambda tx: forgotten.forget(tx, H1, desk.now, heard=False))
    report(desk, desk.fetch("b2", host="h2").items[0].action, power=None)
    assert desk.newest_action().state is ActionState.DONE
    assert desk.read(read_instances.get_known, ONE)[1]


def test_a_delete_stops_the_host_at_work_first_and_goes_to_every_host(desk: Desk) -> None:
    report(desk, item(desk, "h1", "a1").action)
    second = item(desk, "h2", "b1").action
    assert desk.accept(Verb.DELETE, "req-delete") == H2
    assert states(desk) == ["delete@h2 open", "delete@h1 pending"]
    fetched = desk.fetch("b2", host="h2", running=(second.leg_id,))
    assert (fetched.revoked, len(fetched.items)) == ((second.leg_id,), 1)
    assert desk.fetch("a2").items == ()
    report(desk, second)  # the leg ended at that very moment: it begins no other
    assert desk.fetch("a2").items == ()
    report(desk, fetched.items[0].action, power=None)
    report(desk, item(desk, "h1", "a3").action, power=None)
    with pytest.raises(NotFound):
        desk.instance()


def test_a_delete_after_a_failure_goes_where_something_was_not_undone(desk: Desk) -> None:
    report(desk, item(desk, "h1", "a1").action)
    report(desk, item(desk, "h2", "b1").action)
    report(desk, item(desk, "h1", "a2").action, succeeded=False)
    report(desk, item(desk, "h2", "b2").action, succeeded=False, power=None)  # h2 could not undo
    report(desk, item(desk, "h1", "a3").action)
    assert "step 2 was not undone: no room" in (desk.newest_action().message or "")
    desk.accept(Verb.DELETE, "req-delete")
    assert states(desk) == ["delete@h1 open", "delete@h2 pending"]


def test_a_delete_does_not_wait_on_a_host_that_is_down_before_it_removes_the_guest(desk: Desk) -> None:
    report(desk, item(desk, "h1", "a1").action)
    item(desk, "h2", "b1")
    down(desk, H2)
    desk.accept(Verb.DELETE, "req-delete")
    assert states(desk) == ["delete@h1 open", "delete@h2 pending"]
    report(desk, item(desk, "h1", "a2").action, power=None)
    desk.look(timedelta(seconds=5))
    with pytest.raises(NotFound):
        desk.instance()  # it is deleted for its user
    down(desk, H2, forced=False)
    report(desk, item(desk, "h2", "b2").action, power=None)
    assert desk.newest_action().state is ActionState.DONE


def test_what_an_open_action_has_made_on_another_host_is_no_orphan(desk: Desk) -> None:
    report(desk, item(desk, "h1", "a1").action)
    assert desk.read(guests.classify_guests, ClassifyGuests(H2, 1, (ONE,))).elsewhere == ()
    report(desk, item(desk, "h2", "b1").action)
    report(desk, item(desk, "h1", "a2").action)
    assert desk.read(guests.classify_guests, ClassifyGuests(H2, 1, (ONE,))).elsewhere == (ONE,)


def test_a_guest_is_busy_on_its_host_while_another_host_works(desk: Desk) -> None:
    report(desk, item(desk, "h1", "a1").action)
    (guest,) = desk.read(guests.list_expected, ListExpected(H1, 1)).guests
    assert guest.busy


def test_a_boot_in_the_middle_starts_no_guest_beside_the_action(desk: Desk) -> None:
    report(desk, item(desk, "h1", "a1").action)
    request = RegisterHost(H1, "process-2", "node-h1", "boot-2", "kilonova-compute", "compute", 1, "nova")
    serial = iter(range(99))
    standing = desk.write(host_boot.enroll, request, "service", lambda: f"new-{next(serial)}", desk.now)
    assert (standing.rebooted, standing.resumed, len(desk.actions())) == (True, 0, 2)


def test_the_first_leg_fails_alone(desk: Desk) -> None:
    action = desk.newest_action()
    desk.write(fail, action, "no", desk.now)
    assert desk.newest_action().legs[0].state is LegState.FAILED
    assert (desk.newest_action().state, len(desk.newest_action().legs)) == (ActionState.FAILED, 1)
