# SPDX-License-Identifier: Apache-2.0
"""One odd record stops only itself."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from kilonova.conductor.hosts import guests
from kilonova.conductor.watch import deadlines
from kilonova.db.readers import instances as read_instances
from kilonova.db.savepoints import each_in_savepoint
from kilonova.db.writers import aggregates
from kilonova.objects.ids import ActionId, InstanceId
from kilonova.objects.states import PowerState, VmState
from kilonova.rpcapi.host_to_conductor import Observed, ReportStates
from tests import make
from tests.unit.conductor.desk import ONE, Desk, other

TWO = InstanceId("22222222-2222-4222-8222-222222222222")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def spoil(desk: Desk, table: str, column: str, value: object, id_: str) -> None:
    """As a newer version has written it, or a bad disk."""

    def write(connection: sa.Connection) -> None:
        plain = sa.table(table, sa.column("id"), sa.column(column))
        connection.execute(sa.update(plain).where(plain.c.id == id_).values({column: value}))

    desk.write(write)


def two_servers(desk: Desk) -> None:
    desk.register()
    for id_ in (ONE, TWO):
        desk.place(desk.create(other(id_), f"req-{id_}"))


def test_an_instance_that_cannot_be_read_holds_up_no_other_work_of_its_host(desk: Desk) -> None:
    two_servers(desk)
    spoil(desk, "instances", "vm_state", "two words", ONE)
    fetched = desk.fetch("t1")
    assert [item.instance.id for item in fetched.items] == [TWO]
    assert not fetched.more  # or the host would ask again at once, and for ever


def test_an_action_of_a_verb_that_is_not_known_holds_up_neither_the_host_nor_the_watch(desk: Desk) -> None:
    two_servers(desk)
    spoil(desk, "actions", "verb", "teleport", "action-1")
    assert [item.instance.id for item in desk.fetch("t1").items] == [TWO]
    desk.write(deadlines.count_time, 5.0, desk.now)


def test_a_guests_state_that_cannot_be_recorded_keeps_no_other_from_being_told(desk: Desk) -> None:
    two_servers(desk)
    for item in desk.fetch("t1").items:
        desk.finish(item.action)
    spoil(desk, "instances", "vm_state", "two words", ONE)
    states = tuple(Observed(id_, PowerState.SHUTDOWN, "shutdown") for id_ in (ONE, TWO))
    desk.write(guests.report_states, ReportStates(make.HOST, 1, states), (ActionId("a8"), ActionId("a9")), desk.now)
    assert desk.read(read_instances.get, TWO).vm_state is VmState.STOPPED


def test_what_one_has_done_before_it_failed_is_undone_and_a_failing_database_ends_all(desk: Desk) -> None:
    def make_aggregate(connection: sa.Connection, name: str) -> str:
        aggregates.insert(connection, uuid=name, name=name, zone=None, now=desk.now)
        if name == "odd":
            raise ZeroDivisionError
        if name == "full":
            raise OperationalError("insert", {}, Exception("disk is full"))
        return name

    def all_of(connection: sa.Connection, names: tuple[str, ...]) -> list[str]:
        return list(each_in_savepoint(connection, names, lambda name: make_aggregate(connection, name), "test"))

    assert desk.write(all_of, ("a", "odd", "b")) == ["a", "b"]
    names = desk.read(lambda connection: connection.execute(sa.text("select name from aggregates")).scalars().all())
    assert sorted(names) == ["a", "b"]
    with pytest.raises(OperationalError):
        desk.write(all_of, ("c", "full", "d"))
