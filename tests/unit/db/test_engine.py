# SPDX-License-Identifier: Apache-2.0
"""Transactions: alone in failure, together on disk."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.base.context import REQUEST_ID, serving
from kilonova.base.errors import DatabaseUnavailable
from kilonova.base.threads import DaemonWorkers, InlineWorkers
from kilonova.db.location import sqlite_url
from kilonova.db.sqlite import SqliteDatabase
from tests import make


def new_database(path: Path) -> SqliteDatabase:
    writer, reader = DaemonWorkers("w", 1), DaemonWorkers("r", 2)
    return SqliteDatabase(sqlite_url(path / "t.db"), writer=writer, reader=reader, readers=2)


def make_table(connection: sa.Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE t (n INTEGER PRIMARY KEY)")


def insert(connection: sa.Connection, n: int) -> int:
    connection.exec_driver_sql("INSERT INTO t VALUES (?)", (n,))
    if n < 0:
        raise ValueError("negative")
    return n


def count(connection: sa.Connection) -> int:
    return connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one()


def test_writes_that_share_a_commit_succeed_and_fail_alone(tmp_path: Path) -> None:
    async def body() -> None:
        db = new_database(tmp_path)
        await db.write(make_table)
        numbers = [*range(50), -1, 7, *range(50, 100)]  # -1 raises after its insert, the second 7 breaks the key
        results: list[int | str] = []

        async def one(n: int) -> None:
            try:
                results.append(await db.write(insert, n))
            except (ValueError, sa.exc.IntegrityError) as exc:
                results.append(type(exc).__name__)

        async with asyncio.TaskGroup() as group:
            for n in numbers:
                group.create_task(one(n))
        assert sorted(str(r) for r in results) == sorted([*map(str, range(100)), "ValueError", "IntegrityError"])
        assert await db.read(count) == 100
        await db.close()

    make.run(body())


def test_a_reader_sees_only_what_is_committed(tmp_path: Path) -> None:
    async def body() -> None:
        db = new_database(tmp_path)
        await db.write(make_table)
        with pytest.raises(ValueError, match="negative"):
            await db.write(insert, -1)
        assert await db.read(count) == 0
        await db.close()

    make.run(body())


def test_a_cancelled_writer_does_not_take_others_with_it(tmp_path: Path) -> None:
    async def body() -> None:
        db = new_database(tmp_path)
        await db.write(make_table)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(db.write(insert, n)) for n in range(20)]
            await asyncio.sleep(0)
            tasks[0].cancel()  # the one whose turn it is, with everybody's writes in hand
        assert all(task.result() == n for n, task in enumerate(tasks) if n > 0)
        assert await db.read(count) >= 19
        await db.close()

    make.run(body())


def test_a_write_that_was_given_up_before_its_turn_never_happens(tmp_path: Path) -> None:
    """Its caller has told somebody that it did not; and while a disk hangs, others ask again and again."""
    free = threading.Event()

    def hang(_connection: sa.Connection) -> None:
        free.wait(10)

    async def body() -> None:
        db = new_database(tmp_path)
        await db.write(make_table)
        first = asyncio.create_task(db.write(hang))
        await asyncio.sleep(0.05)
        for n in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await db.write(insert, n)
        free.set()
        await first
        await db.write(insert, 9)
        assert await db.read(count) == 1
        await db.close()

    make.run(body())


def test_commits_are_synced_to_disk(tmp_path: Path) -> None:
    async def body() -> None:
        db = new_database(tmp_path)
        assert await db.write(lambda c: c.exec_driver_sql("PRAGMA synchronous").scalar_one()) == 2
        assert await db.write(lambda c: c.exec_driver_sql("PRAGMA journal_mode").scalar_one()) == "wal"
        await db.close()

    make.run(body())


def test_closing_waits_for_reads_that_nobody_waits_for_any_more(tmp_path: Path) -> None:
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(connection: sa.Connection) -> None:
        started.set()
        go_on.wait(20)
        count(connection)
        ended.set()

    async def body() -> None:
        db = new_database(tmp_path)
        await db.write(make_table)
        read = asyncio.create_task(db.read(slow))
        while not started.is_set():  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0.001)
        read.cancel()
        closing = asyncio.create_task(db.close())
        await asyncio.sleep(0.05)
        assert not closing.done()
        go_on.set()
        await closing
        assert ended.is_set()

    make.run(body())


def test_a_full_disk_is_a_matter_of_time(tmp_path: Path) -> None:
    """SQLite's own limit stands for the disk's: what does not fit is refused whole, the rest goes on."""

    def limit(connection: sa.Connection, pages: int) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def fill(connection: sa.Connection, n: int) -> None:
        connection.exec_driver_sql("INSERT INTO big VALUES (?, ?)", (n, "x" * 100_000))

    def kept(connection: sa.Connection) -> list[int]:
        return list(connection.exec_driver_sql("SELECT n FROM big ORDER BY n").scalars())

    async def body() -> None:
        db = SqliteDatabase(sqlite_url(tmp_path / "t.db"), writer=InlineWorkers(), reader=InlineWorkers(), readers=0)
        await db.write(lambda c: c.exec_driver_sql("CREATE TABLE big (n INTEGER PRIMARY KEY, text TEXT)"))
        await db.write(limit, 60)
        await db.write(fill, 1)
        refused: list[DatabaseUnavailable] = []

        async def one(n: int) -> None:
            try:
                await db.write(fill, n)
            except DatabaseUnavailable as exc:
                refused.append(exc)

        async with asyncio.TaskGroup() as group:  # they share a commit
            for n in range(2, 6):
                group.create_task(one(n))
        assert refused
        assert all(exc.retryable and "full" in exc.message for exc in refused)
        found = await db.read(kept)
        assert len(found) == 5 - len(refused)
        await db.write(limit, 1000)
        await db.write(fill, 9)
        assert await db.read(kept) == [*found, 9]
        await db.close()

    make.run(body())


def test_mistakes_in_statements_are_no_matter_of_time(tmp_path: Path) -> None:
    async def body() -> None:
        db = new_database(tmp_path)
        for ask in (db.read, db.write):
            with pytest.raises(sa.exc.OperationalError, match="no such table"):
                await ask(count)
        await db.close()

    make.run(body())


def test_a_database_that_cannot_be_opened_now(tmp_path: Path) -> None:
    async def body() -> None:
        db = new_database(tmp_path / "gone")
        for ask in (db.read, db.write):
            with pytest.raises(DatabaseUnavailable, match="unable to open"):
                await ask(count)
        await db.close()

    make.run(body())


def test_each_of_the_writes_that_share_a_commit_runs_under_its_own_request(tmp_path: Path) -> None:
    def look(_connection: sa.Connection) -> str:
        return REQUEST_ID.get()

    async def body() -> None:
        db = new_database(tmp_path)

        async def one(request_id: str) -> tuple[str, str]:
            with serving(request_id):
                return await db.write(look), await db.read(look)

        ids = ["", *(f"req-{number}" for number in range(30))]
        assert await asyncio.gather(*map(one, ids)) == [(request_id, request_id) for request_id in ids]
        await db.close()

    make.run(body())


def test_a_commit_that_several_requests_share_runs_under_none(tmp_path: Path) -> None:
    seen: list[str] = []

    class Watched(SqliteDatabase):
        def _without_refused(self, batch: list[Any]) -> list[Any]:
            seen.append(REQUEST_ID.get())
            return super()._without_refused(batch)

    async def body() -> None:
        db = Watched(sqlite_url(tmp_path / "t.db"), writer=DaemonWorkers("w", 1), reader=DaemonWorkers("r", 1))
        with serving("req-1"):
            await db.write(make_table)
        await db.close()

    make.run(body())
    assert seen == [""]
