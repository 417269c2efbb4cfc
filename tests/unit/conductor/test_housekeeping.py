# SPDX-License-Identifier: Apache-2.0
"""Records are purged by age and by number: all of what is due, nothing that is needed, little in each transaction."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from kilonova.base.errors import InvalidInput, NotFound
from kilonova.base.tasks import Supervisor
from kilonova.conductor.hosts import forgotten
from kilonova.conductor.watch.housekeeping import INTERVAL_S, Housekeeping, Purge
from kilonova.conductor.watch.rounds import Rounds
from kilonova.config.database import Retention
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import placements as read_placements
from kilonova.db.readers import servers as read_servers
from kilonova.db.readers import uptimes as read_uptimes
from kilonova.db.readers.hosts import COMPUTE
from kilonova.db.readers.purge import GRACE, SLACK, Kind, count
from kilonova.db.readers.servers import ServerQuery
from kilonova.db.readers.uptimes import Uptime, Window
from kilonova.db.schema import action_events, actions, idempotency_keys, instances, tombstones
from kilonova.db.transaction import Snapshot, Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import idempotency as write_keys
from kilonova.db.writers.purge import AT_ONCE, SERVERS
from kilonova.objects import idempotency
from kilonova.objects.idempotency import Idempotent
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.states import FINAL, PowerState, Verb
from kilonova.rpcapi.host_to_conductor import CopiesRemoved
from tests import make
from tests.simulation.virtual import SimClock, run_virtually
from tests.unit.conductor.desk import ONE, Desk

KEEP = timedelta(days=30)
TABLES = (instances, actions, action_events)


class At(SimClock):
    """A clock that shows the desk's time."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(1)
        self._desk = desk

    def now(self) -> datetime:
        return self._desk.now


def counts(desk: Desk, tables: Sequence[sa.Table] = TABLES) -> tuple[int, ...]:
    def found(connection: sa.Connection) -> tuple[int, ...]:
        return tuple(connection.execute(sa.select(sa.func.count()).select_from(one)).scalar() or 0 for one in tables)

    return desk.read(found)


def purge(desk: Desk, retention: Retention = Retention(KEEP)) -> Counter[Kind]:
    """One round, which does what a count just before has announced."""

    async def one_round() -> Counter[Kind]:
        announced = await desk.db.read(count, retention, desk.now)
        work = Purge(desk.db, At(desk), retention)
        await work.run()
        assert +work.counts == +Counter(announced)
        return work.counts

    return run_virtually(one_round())


def listed(desk: Desk, marker: str | None = None) -> list[InstanceId]:
    return [one.id for one in desk.read(read_servers.page, ServerQuery(deleted=True, marker=marker))]


def deleted(desk: Desk, number: int) -> InstanceId:
    instance_id = InstanceId(f"{number:08d}-0000-4000-8000-000000000000")
    desk.create(make.instance(instance_id), f"req-c{number}")
    desk.accept(Verb.DELETE, f"req-d{number}", instance_id)
    return instance_id


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.active()
    return made


def test_what_was_deleted_long_ago_is_purged_in_two_steps_and_nothing_else(desk: Desk) -> None:
    before, many = counts(desk), SERVERS + 3
    for number in range(many):
        deleted(desk, number)
    assert purge(desk) == {}
    desk.now += KEEP
    recent = deleted(desk, 9999)
    assert purge(desk) == {Kind.SERVERS: many, Kind.ACTIONS: 2 * many}
    assert listed(desk) == [recent]
    assert counts(desk)[0] == before[0] + many + 1
    desk.now += GRACE
    assert purge(desk) == {Kind.SERVER_ROWS: many}
    desk.now += KEEP
    purge(desk)
    desk.now += GRACE
    purge(desk)
    assert counts(desk) == before


def test_by_number_the_servers_that_were_deleted_first_are_purged(desk: Desk) -> None:
    ids = [deleted(desk, number) for number in range(5)]
    assert purge(desk, Retention(deleted=2))[Kind.SERVERS] == 3
    assert listed(desk) == ids[:2:-1]
    assert purge(desk, Retention(deleted=2)) == {}


def _launch_all(tx: Transaction) -> None:
    tx.execute(sa.update(instances).values(launched_at=make.NOW))


def _uptimes(snapshot: Snapshot, window: Window) -> list[Uptime]:
    return list(read_uptimes.within(snapshot, window))


def test_a_page_goes_on_after_a_server_that_was_purged_meanwhile(desk: Desk) -> None:
    first, last, newest = (deleted(desk, number) for number in range(3))
    desk.write(_launch_all)
    assert purge(desk, Retention(deleted=1))[Kind.SERVERS] == 2
    assert purge(desk, Retention(deleted=1)) == {}
    assert listed(desk) == [newest]
    assert listed(desk, marker=last) == []
    window = Window(make.NOW - KEEP, desk.now)
    assert {one.id for one in desk.read(_uptimes, window)} == {ONE, newest}
    with pytest.raises(NotFound):
        desk.read(read_instances.get_known, first)
    desk.now += GRACE
    purge(desk, Retention(deleted=1))
    with pytest.raises(InvalidInput, match="marker"):
        listed(desk, marker=last)


def test_a_server_whose_host_has_its_guest_still_is_kept(desk: Desk) -> None:
    desk.write(write_hosts.update_service, make.HOST, COMPUTE, desk.now, up=False)
    desk.accept(Verb.DELETE, "req-d")
    desk.now += 2 * KEEP
    assert purge(desk) == {}
    desk.finish(desk.fetch("t1").items[0].action, power=None)
    assert purge(desk)[Kind.SERVERS] == 1


def test_a_server_is_kept_while_a_host_that_was_given_up_may_have_a_copy(desk: Desk) -> None:
    desk.set_up("h1", up=False)
    desk.write(forgotten.forget, make.HOST, desk.now, heard=False)
    desk.accept(Verb.DELETE, "req-d")
    desk.now += 2 * KEEP
    assert purge(desk, Retention(KEEP, deleted=0)) == {}
    epoch = desk.register("h1", "process-2")
    desk.write(forgotten.copies_removed, CopiesRemoved(HostName("h1"), epoch, (ONE,)), desk.now)
    assert purge(desk)[Kind.SERVERS] == 1
    desk.now += GRACE
    purged = purge(desk)
    assert (purged[Kind.SERVER_ROWS], purged[Kind.TOMBSTONES]) == (1, 1)
    assert counts(desk, (tombstones,)) == (0,)


def test_of_a_server_with_many_actions_the_newest_stay_and_the_newest_of_each_verb(desk: Desk) -> None:
    (create,) = desk.actions()
    desk.accept(Verb.STOP, "req-stop")
    desk.finish(desk.fetch("t-stop").items[0].action, power=PowerState.SHUTDOWN)
    for number in range(SLACK + 20):
        desk.accept(Verb.LOCK if number % 2 else Verb.UNLOCK, f"req-{number}")
    for action, state in zip(desk.actions(), itertools.cycle(sorted(FINAL))):
        desk.write(write_actions.update, action.id, desk.now, state=state)
    assert purge(desk, Retention(actions=22)) == {}
    kept = desk.actions()[:10]
    assert purge(desk, Retention(actions=10))[Kind.ACTIONS] == SLACK + 10
    left = desk.actions()
    assert left[:10] == kept
    assert [one.verb for one in left[10:]] == [Verb.STOP, Verb.CREATE]
    assert desk.read(read_placements.of_action, create.id)
    desk.accept(Verb.START, "req-start")
    assert desk.read(read_actions.open_of_instance, ONE)


def test_a_server_with_more_actions_than_a_transaction_deletes_goes_in_several(desk: Desk) -> None:
    for number in range(AT_ONCE):
        desk.accept(Verb.LOCK, f"req-{number}")
    desk.accept(Verb.DELETE, "req-d")
    desk.finish(desk.fetch("t-d").items[0].action, power=None)
    desk.now += 2 * KEEP
    assert purge(desk)[Kind.ACTIONS] == AT_ONCE + 2


def test_expired_answers_to_creates_are_purged_and_their_keys_can_be_used_again(desk: Desk) -> None:
    for key in ("one", "two"):
        desk.write(write_keys.keep, Idempotent("p1", "u1", key, "print", "answer"), desk.now)
    assert purge(desk) == {}
    desk.now += idempotency.KEPT + timedelta(minutes=1)
    desk.write(write_keys.keep, Idempotent("p1", "u1", "one", "print", "answer"), desk.now)
    assert counts(desk, (idempotency_keys,)) == (2,)
    assert purge(desk) == {Kind.KEYS: 1}


def test_two_conductors_purge_nothing_twice_and_a_stop_ends_a_round_at_once(desk: Desk) -> None:
    for number in range(3 * SERVERS):
        deleted(desk, number)
    retention = Retention(deleted=0)

    async def stopped() -> int:
        work = Purge(desk.db, At(desk), retention)
        task = asyncio.ensure_future(work.run())
        while not work.counts:  # noqa: ASYNC110 - nobody could set an event
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        return work.counts[Kind.SERVERS]

    async def both() -> int:
        first, second = (Purge(desk.db, At(desk), retention) for _ in range(2))
        await asyncio.gather(first.run(), second.run())
        return first.counts[Kind.SERVERS] + second.counts[Kind.SERVERS]

    assert run_virtually(stopped()) == SERVERS
    assert run_virtually(both()) == 2 * SERVERS


def test_the_conductors_purge_by_themselves(desk: Desk) -> None:
    deleted(desk, 1)

    async def wait() -> None:
        clock = At(desk)
        async with Supervisor(clock) as tasks:
            for name in ("c1", "c2"):
                rounds = Rounds(desk.db, clock, name, alone=False)
                Housekeeping(desk.db, clock, rounds, Retention(deleted=0)).start(tasks)
            await clock.sleep(2 * INTERVAL_S)

    run_virtually(wait())
    assert listed(desk) == []
