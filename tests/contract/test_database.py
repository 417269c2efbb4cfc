# SPDX-License-Identifier: Apache-2.0
"""What both engines of the database promise."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from kilonova.base.context import REQUEST_ID, serving
from kilonova.base.errors import InvalidInput
from kilonova.base.threads import DaemonWorkers
from kilonova.db.engine import Database
from kilonova.db.location import sqlite_url
from kilonova.db.savepoints import each_in_savepoint
from kilonova.db.sqlite import SqliteDatabase
from kilonova.db.transaction import RECORDED, single_statement
from tests import postgres

T = sa.table("t", sa.column("n", sa.Integer), sa.column("text", sa.String))


@pytest.fixture(params=["sqlite", "postgresql"])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Database]:
    """A database with the empty table `t`."""
    found: Database
    if request.param == "sqlite":
        writer, reader = DaemonWorkers("w", 1), DaemonWorkers("r", 2)
        found = SqliteDatabase(sqlite_url(tmp_path / "t.db"), writer=writer, reader=reader, readers=2)
    else:
        found = postgres.opened(postgres.new_database(tmp_path))
    await found.start()
    await found.write(make_table)
    yield found
    await found.close()


def make_table(tx: sa.Connection) -> None:
    tx.exec_driver_sql("CREATE TABLE t (n INTEGER PRIMARY KEY, text VARCHAR(20))")


def insert(tx: sa.Connection, n: int, text: str = "") -> int:
    tx.execute(sa.insert(T).values(n=n, text=text))
    if n < 0:
        raise ValueError("negative")
    return n


def numbers(snapshot: sa.Connection) -> list[int]:
    return list(snapshot.execute(sa.select(T.c.n).order_by(T.c.n)).scalars())


async def test_what_is_written_is_read(db: Database) -> None:
    assert await db.write(insert, 3, text="three") == 3
    assert await db.read(numbers) == [3]
    assert await db.trouble() == ""


async def test_an_exception_of_the_function_rolls_its_transaction_back(db: Database) -> None:
    with pytest.raises(ValueError, match="negative"):
        await db.write(insert, -1)
    await db.write(insert, 1)
    assert await db.read(numbers) == [1]


async def test_writes_at_the_same_time_succeed_and_fail_alone(db: Database) -> None:
    await db.write(insert, 7)
    asked = [*range(20), -1]  # 7 breaks the key, -1 raises after its insert
    found = await asyncio.gather(*(db.write(insert, n) for n in asked), return_exceptions=True)
    failed = {asked[at]: type(one).__name__ for at, one in enumerate(found) if isinstance(one, BaseException)}
    assert failed == {7: "IntegrityError", -1: "ValueError"}
    assert await db.read(numbers) == list(range(20))


async def test_a_number_that_cannot_be_stored_is_the_callers_mistake(db: Database) -> None:
    def ask(snapshot: sa.Connection) -> list[int]:
        return list(snapshot.execute(sa.select(T.c.n).where(T.c.n == 1 << 200)).scalars())

    with pytest.raises(InvalidInput, match="cannot be stored"):
        await db.write(insert, 1 << 200)
    if isinstance(db, SqliteDatabase):  # (PostgreSQL compares numbers of any size)
        with pytest.raises(InvalidInput, match="cannot be stored"):
            await db.read(ask)
    assert await db.read(numbers) == []


async def test_a_mistake_in_a_statement_is_the_callers(db: Database) -> None:
    def ask(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SELECT * FROM nothing")

    for call in (db.read, db.write):
        with pytest.raises(DBAPIError, match="nothing"):
            await call(ask)
    assert await db.trouble() == ""


async def test_no_update_is_lost(db: Database) -> None:
    """Each reads the number and writes the next one, as a transaction without any thought of others does."""

    def count_up(tx: sa.Connection) -> None:
        (n,) = numbers(tx)
        tx.execute(sa.update(T).values(n=n + 1))

    await db.write(insert, 0)
    await asyncio.gather(*(db.write(count_up) for _ in range(30)))
    assert await db.read(numbers) == [30]


async def test_a_condition_over_rows_of_others_holds(db: Database) -> None:
    """Write skew: each may add a row only while there are fewer than five."""

    def add(tx: sa.Connection, n: int) -> bool:
        if len(numbers(tx)) >= 5:
            return False
        insert(tx, n)
        return True

    done = await asyncio.gather(*(db.write(add, n) for n in range(20)))
    assert sum(done) == 5
    assert len(await db.read(numbers)) == 5


async def test_a_number_after_the_highest_is_given_once(db: Database) -> None:
    """As addresses are given: the conflict of two looks like a violation of the key."""

    def take(tx: sa.Connection) -> int:
        highest = tx.execute(sa.select(sa.func.max(T.c.n))).scalar()
        return insert(tx, 0 if highest is None else highest + 1)

    assert sorted(await asyncio.gather(*(db.write(take) for _ in range(20)))) == list(range(20))


async def test_a_read_is_one_snapshot(db: Database) -> None:
    looked, go_on = threading.Event(), threading.Event()

    def look_twice(snapshot: sa.Connection) -> tuple[list[int], list[int]]:
        before = numbers(snapshot)
        looked.set()
        go_on.wait(10)
        return before, numbers(snapshot)

    reading = asyncio.create_task(db.read(look_twice))
    while not looked.is_set():  # noqa: ASYNC110 - a thread sets it
        await asyncio.sleep(0.001)
    await db.write(insert, 1)
    go_on.set()
    assert await reading == ([], [])


async def test_a_write_that_was_given_up_before_its_turn_never_happens(db: Database) -> None:
    free, busy = threading.Event(), threading.Semaphore(0)

    def hang(_tx: sa.Connection) -> None:
        busy.release()
        free.wait(10)

    hanging = [asyncio.create_task(db.write(hang)) for _ in range(postgres.SIZE)]
    while not busy.acquire(blocking=False):  # noqa: ASYNC110 - a thread releases it
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.1)  # all workers are busy now
    for n in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await db.write(insert, n)
    free.set()
    await asyncio.gather(*hanging)
    await db.write(insert, 9)
    assert await db.read(numbers) == [9]


async def test_a_functions_own_timeout_is_its_own(db: Database) -> None:
    def late(_tx: sa.Connection) -> None:
        raise TimeoutError("mine")

    for call in (db.read, db.write):
        with pytest.raises(TimeoutError, match="mine"):
            await call(late)


async def test_closing_waits_for_work_that_nobody_waits_for_any_more(db: Database) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(tx: sa.Connection) -> None:
        started.set()
        go_on.wait(10)
        insert(tx, 1)

    task = asyncio.create_task(db.write(slow))
    while not started.is_set():  # noqa: ASYNC110 - a thread sets it
        await asyncio.sleep(0.001)
    task.cancel()
    closing = asyncio.create_task(db.close())
    await asyncio.sleep(0.05)
    assert not closing.done()
    go_on.set()
    await closing


async def test_each_runs_under_its_own_request(db: Database) -> None:
    def look(_connection: sa.Connection) -> str:
        return REQUEST_ID.get()

    async def one(request_id: str) -> tuple[str, str]:
        with serving(request_id):
            return await db.write(look), await db.read(look)

    ids = [f"req-{number}" for number in range(20)]
    assert await asyncio.gather(*map(one, ids)) == [(request_id, request_id) for request_id in ids]


async def test_one_item_of_a_batch_fails_alone(db: Database) -> None:
    def batch(tx: sa.Connection, items: list[int]) -> list[Any]:
        return list(each_in_savepoint(tx, items, lambda n: insert(tx, n), "test"))

    await db.write(insert, 2)
    assert await db.write(batch, [1, -1, 2, 3]) == [1, 3]
    assert await db.read(numbers) == [1, 2, 3]


def record(tx: sa.Connection, n: int) -> None:
    """As the writers of notifications do."""
    tx.info[RECORDED] = True
    insert(tx, n)


async def test_a_commit_that_has_recorded_a_notification_is_reported(db: Database) -> None:
    calls: list[bool] = []
    db.on_recorded(lambda: calls.append(True))
    await db.write(insert, 1)
    assert calls == []
    with pytest.raises(ValueError, match="negative"):
        await db.write(record, -1)
    await db.write(insert, 2)  # on the same connection: the mark of the rolled back one is gone
    assert calls == []
    await db.write(record, 3)
    assert calls == [True]
    await asyncio.gather(*(db.write(record, n) for n in range(4, 7)), db.write(insert, 7))
    assert len(calls) == 4


@single_statement
def highest(snapshot: sa.Connection) -> int | None:
    return snapshot.execute(sa.select(sa.func.max(T.c.n))).scalar()


async def test_a_read_of_one_statement_sees_what_is_committed(db: Database) -> None:
    for n in (4, 9):
        await db.write(insert, n)
        assert await db.read(highest) == n
    assert await db.read(numbers) == [4, 9]
