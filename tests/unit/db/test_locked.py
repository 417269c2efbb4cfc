# SPDX-License-Identifier: Apache-2.0
"""Another process holds SQLite's lock: a write ends in time, and what was refused or given up never happens."""

import asyncio
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from kilonova.base.errors import DatabaseLocked
from kilonova.base.threads import DaemonWorkers
from kilonova.db.location import sqlite_url
from kilonova.db.sqlite import LOCK_S, SqliteDatabase
from kilonova.rpcapi.api_to_conductor import CREATE_SERVERS
from tests import make
from tests.unit.db.test_engine import count, insert, make_table


def database(path: Path, lock_s: float) -> SqliteDatabase:
    return SqliteDatabase(
        sqlite_url(path / "t.db"), writer=DaemonWorkers("w", 1), reader=DaemonWorkers("r", 1), readers=1, lock_s=lock_s
    )


@contextmanager
def held(path: Path) -> Generator[None]:
    """The lock is somebody else's."""
    other = sqlite3.connect(path / "t.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
    finally:
        other.close()


def test_all_who_wait_are_told_that_nothing_was_done(tmp_path: Path) -> None:
    async def body() -> None:
        db = database(tmp_path, lock_s=0.3)
        await db.write(make_table)
        with held(tmp_path):
            first = asyncio.create_task(db.write(insert, 1))
            await asyncio.sleep(0.1)
            later = [asyncio.create_task(db.write(insert, n)) for n in (2, 3)]  # they wait behind it
            for task in (first, *later):
                with pytest.raises(DatabaseLocked, match="Nothing was accepted"):
                    await task
        await db.write(insert, 9)
        assert await db.read(count) == 1
        await db.close()

    make.run(body())


def test_a_write_that_was_given_up_while_it_waited_for_the_lock_never_happens(tmp_path: Path) -> None:
    async def body() -> None:
        db = database(tmp_path, lock_s=30)
        await db.write(make_table)
        with held(tmp_path):
            others = asyncio.create_task(db.write(insert, 1))
            mine = asyncio.create_task(db.write(insert, 2))
            await asyncio.sleep(0.1)
            for task in (others, mine):  # the second is of the same batch as the first, or of the next
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        await db.write(insert, 9)
        assert await db.read(count) == 1
        await db.close()

    make.run(body())


def test_the_lock_is_waited_for_within_one_attempt_of_a_call() -> None:
    assert CREATE_SERVERS.attempt_s > LOCK_S


def test_they_are_told_in_time_even_if_the_one_whose_turn_it_was_went_away(tmp_path: Path) -> None:
    """A second wait for the lock, after the first one, would outlast the attempt of a caller, and nothing would be
    certain."""
    waits: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        waits.extend([statement] if statement == "BEGIN IMMEDIATE" else [])

    async def body() -> None:
        db = database(tmp_path, lock_s=0.5)
        await db.write(make_table)
        with held(tmp_path):
            event.listen(sa.Engine, "before_cursor_execute", note)
            first = asyncio.create_task(db.write(insert, 1))
            await asyncio.sleep(0.1)
            later = asyncio.create_task(db.write(insert, 2))
            await asyncio.sleep(0.1)
            first.cancel()
            with pytest.raises(DatabaseLocked):
                await later
            assert len(waits) == 1
            with pytest.raises(DatabaseLocked):
                await db.write(insert, 3)
            assert len(waits) == 2
        assert await db.read(count) == 0
        await db.close()

    try:
        make.run(body())
    finally:
        event.remove(sa.Engine, "before_cursor_execute", note)
