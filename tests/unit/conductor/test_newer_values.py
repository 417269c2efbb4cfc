# SPDX-License-Identifier: Apache-2.0
"""A conductor beside a newer one: what only the newer one has is left to it, and nothing else is held up."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from kilonova.base.errors import NotInThisVersion
from kilonova.conductor.engine.end import abandon
from kilonova.conductor.hosts import guests, lost_hosts
from kilonova.db.readers import actions as read_actions
from kilonova.objects.action import Action
from kilonova.objects.ids import HostName
from kilonova.objects.states import ActionState, PowerState, Verb, VmState
from kilonova.objects.statuses import api_power, api_status
from kilonova.rpcapi.host_to_conductor import FETCH, ClassifyGuests
from kilonova.rpcapi.work import Fetched, WorkItem
from tests import make
from tests.unit.conductor.desk import ONE, Desk, other
from tests.unit.db.test_savepoints import TWO, spoil


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.active()
    return made


def raw(desk: Desk, table: str, column: str, id_: str) -> object:
    plain = sa.table(table, sa.column("id"), sa.column(column))
    return desk.read(lambda c: c.execute(sa.select(plain.c[column]).where(plain.c.id == id_)).scalar_one())


def running(desk: Desk) -> Action:
    """An action that a newer conductor has handed out, of a verb that only it has."""
    desk.accept(Verb.STOP, "req-stop")
    (item,) = desk.fetch("t1").items
    spoil(desk, "actions", "verb", "teleport", item.action.id)
    spoil(desk, "actions", "params", '{"to": "h2"}', item.action.id)
    return item.action


def test_work_of_a_newer_verb_is_neither_handed_out_nor_revoked(desk: Desk) -> None:
    action = running(desk)
    fetched = desk.fetch("t2", running=(action.leg_id,))
    assert (fetched.items, fetched.revoked, fetched.expired) == ((), (), ())
    assert desk.fetch("t3").items == ()  # also for a host that does not run it
    assert raw(desk, "actions", "verb", action.id) == "teleport"


def test_a_report_about_a_newer_verb_is_left_to_another_conductor(desk: Desk) -> None:
    action = running(desk)
    with pytest.raises(NotInThisVersion, match=action.id):
        desk.finish(action)
    assert desk.newest_action().state is ActionState.OPEN


def test_a_delete_does_not_supersede_what_this_version_cannot_undo(desk: Desk) -> None:
    running(desk)
    with pytest.raises(NotInThisVersion):
        desk.accept(Verb.DELETE, "req-delete")
    assert desk.instance().task_state == "powering-off"


def test_an_action_of_a_newer_verb_is_listed_as_it_is(desk: Desk) -> None:
    running(desk)
    newest, create = desk.actions()
    assert (newest.verb, dict(newest.params), newest.is_known) == ("teleport", {"to": "h2"}, False)  # type: ignore[call-overload]
    assert create.verb is Verb.CREATE


def test_a_host_that_is_forced_down_keeps_its_newer_work(desk: Desk) -> None:
    action = running(desk)
    desk.write(lost_hosts.call_down, make.HOST, desk.now, forced=True)
    assert desk.newest_action().state is ActionState.OPEN
    assert raw(desk, "actions", "verb", action.id) == "teleport"


def test_an_abandoned_action_does_not_reopen_over_a_newer_request(desk: Desk) -> None:
    desk.accept(Verb.STOP, "req-stop")
    (item,) = desk.fetch("t1").items
    desk.write(abandon, item.action, desk.now)
    desk.accept(Verb.REBOOT, "req-later", type="HARD")
    later = desk.newest_action()
    spoil(desk, "actions", "verb", "teleport", later.id)
    desk.write(lost_hosts.call_down, make.HOST, desk.now, forced=False)
    assert [one.state for one in desk.actions()[:2]] == [ActionState.OPEN, ActionState.FAILED]


def test_a_guest_with_newer_work_is_not_called_deleted(desk: Desk) -> None:
    desk.write(lost_hosts.call_down, make.HOST, desk.now, forced=True)
    desk.accept(Verb.DELETE, "req-delete")
    delete = desk.newest_action()
    desk.write(lost_hosts.delete_for_users, make.HOST, desk.now)
    desk.write(lost_hosts.call_down, make.HOST, desk.now, forced=False)
    spoil(desk, "actions", "verb", "bury", delete.id)
    classes = desk.write(guests.classify_guests, ClassifyGuests(make.HOST, 1, (ONE,)))
    assert classes.deleted == ()


def test_a_request_in_a_newer_state_is_left_to_another_conductor(desk: Desk) -> None:
    spoil(desk, "instances", "vm_state", "frozen", ONE)
    with pytest.raises(NotInThisVersion, match="vm_state frozen"):
        desk.accept(Verb.STOP, "req-stop")
    with pytest.raises(NotInThisVersion, match="verb teleport"):
        desk.accept(Verb("teleport"), "req-teleport", TWO if desk.create(other(TWO)) else ONE)


def test_a_newer_vm_state_is_shown_as_unknown_and_no_report_replaces_it(desk: Desk) -> None:
    spoil(desk, "instances", "vm_state", "frozen", ONE)
    desk.observe(PowerState.SHUTDOWN)
    instance = desk.instance()
    assert instance.vm_state == "frozen"
    assert api_status(instance.vm_state, None, instance.power_state) == "UNKNOWN"


def test_a_newer_power_state_is_shown_as_unknown_never_as_off(desk: Desk) -> None:
    desk.observe(PowerState(99))
    instance = desk.instance()
    assert (instance.vm_state, instance.power_state) == (VmState.ACTIVE, 99)
    assert instance.desired_power is PowerState.RUNNING
    assert api_status(instance.vm_state, None, instance.power_state) == "UNKNOWN"
    assert api_power(instance.power_state) == PowerState.NOSTATE


def test_a_newer_leg_state_leaves_the_action_alone(desk: Desk) -> None:
    desk.accept(Verb.STOP, "req-stop")
    (item,) = desk.fetch("t1").items
    legs = raw(desk, "actions", "legs", item.action.id)
    spoil(desk, "actions", "legs", str(legs).replace('"open"', '"resting"'), item.action.id)
    assert desk.fetch("t2", running=(item.action.leg_id,)).revoked == ()
    assert desk.read(read_actions.open_of_host, HostName("h1")) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"verb": "teleport"}, "verb: this version does not have teleport"),
        ({"vm_state": "frozen"}, "vm_state: this version does not have frozen"),
    ],
)
def test_a_host_refuses_work_that_it_cannot_decide(desk: Desk, change: dict[str, str], why: str) -> None:
    form = FETCH.reply_form
    desk.accept(Verb.STOP, "req-stop")
    (item,) = desk.fetch("t1").items
    found = form.dump_python(Fetched((WorkItem(item.action, item.instance),), ()), mode="json")
    for part in ("action", "instance"):
        found["items"][0][part].update({key: value for key, value in change.items() if key in found["items"][0][part]})
    found["items"].append(form.dump_python(Fetched((item,), ()), mode="json")["items"][0])
    fetched = form.validate_python(found)
    assert [(one.leg, one.reason) for one in fetched.unread] == [(item.action.leg_id, why)]
    assert fetched.items == (item,)  # the other one is read
