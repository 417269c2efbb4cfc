# SPDX-License-Identifier: Apache-2.0
"""What was deleted long ago is forgotten, all of it, and nothing else."""

from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from kilonova.conductor.watch.housekeeping import Housekeeping
from kilonova.conductor.watch.rounds import Rounds
from kilonova.db.readers.hosts import COMPUTE
from kilonova.db.schema import action_events, actions, instances
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers.purge import AT_A_TIME
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import Verb
from tests import make
from tests.simulation.virtual import SimClock, run_virtually
from tests.unit.conductor.desk import Desk

KEEP = timedelta(days=30)


class At(SimClock):
    """A clock that shows the desk's time."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(1)
        self._desk = desk

    def now(self) -> datetime:
        return self._desk.now


def counts(desk: Desk) -> tuple[int, ...]:
    def count(connection: sa.Connection) -> tuple[int, ...]:
        tables = (instances, actions, action_events)
        return tuple(connection.execute(sa.select(sa.func.count()).select_from(one)).scalar() or 0 for one in tables)

    return desk.read(count)


def purge(desk: Desk) -> None:
    run_virtually(Housekeeping(desk.db, At(desk), Rounds(desk.db, At(desk), "c1", alone=True), KEEP).purge())


def deleted(desk: Desk, number: int) -> InstanceId:
    instance_id = InstanceId(f"{number:08d}-0000-4000-8000-000000000000")
    desk.create(make.instance(instance_id), f"req-c{number}")
    desk.accept(Verb.DELETE, f"req-d{number}", instance_id)
    return instance_id


def test_only_what_was_deleted_long_ago_is_forgotten(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.active()
    before = counts(desk)
    for number in range(AT_A_TIME + 3):
        deleted(desk, number)
    purge(desk)
    assert counts(desk)[0] == before[0] + AT_A_TIME + 3
    desk.now += KEEP
    deleted(desk, 9999)
    purge(desk)
    assert counts(desk)[0] == before[0] + 1
    desk.now += 2 * KEEP
    purge(desk)
    assert counts(desk) == before


def test_a_deleted_server_whose_host_has_its_guest_still_is_kept(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.active()
    desk.write(write_hosts.update_service, make.HOST, COMPUTE, desk.now, up=False)
    desk.accept(Verb.DELETE, "req-d")
    desk.now += 2 * KEEP
    purge(desk)
    assert counts(desk)[0] == 1
    desk.finish(desk.fetch("t1").items[0].action, power=None)
    purge(desk)
    assert counts(desk) == (0, 0, 0)
