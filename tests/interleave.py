# SPDX-License-Identifier: Apache-2.0
"""Two transactions on PostgreSQL, stepped statement by statement, and the content of a database to compare."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import event

from kilonova.db.postgres.connection import driver_of
from kilonova.db.schema import metadata
from kilonova.db.transaction import Snapshot
from tests import make

POLL_S = 0.001
_WRITTEN = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM) "?(\w+)')
_READ = re.compile(r'(?:FROM|JOIN) "?(\w+)')
LIMIT_S = 20.0


class Stepper:
    """Holds the statements of one engine, whose only worker runs one transaction at a time, until they may pass."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._free = threading.Event()
        self._free.set()
        self._tickets = self._arrived = threading.Semaphore(0)
        self.pid = 0
        """The process of the server that runs the last statement."""
        self.read, self.written = set[str](), set[str]()
        """The tables that the statements have named since the last `forget`."""
        event.listen(engine, "before_cursor_execute", self._wait)

    def forget(self) -> None:
        """No table was named."""
        self.read, self.written = set(), set()

    def _wait(self, connection: sa.Connection, _cursor: Any, statement: str, *_: Any) -> None:
        self.pid = driver_of(connection).info.backend_pid
        self.written.update(_WRITTEN.findall(statement))
        self.read.update(_READ.findall(statement))
        if not self._free.is_set():
            self._arrived.release()
            self._tickets.acquire(timeout=LIMIT_S)

    def hold(self) -> None:
        """From now on each statement waits."""
        self._tickets, self._arrived = threading.Semaphore(0), threading.Semaphore(0)
        self._free.clear()

    async def step(self, statements: int, running: asyncio.Future[Any]) -> bool:
        """Let so many statements of this transaction pass, and wait for the next one.  False: it ended before."""
        for number in range(statements + 1):
            while not self._arrived.acquire(blocking=False):
                if running.done():
                    return False
                await asyncio.sleep(POLL_S)
            if number < statements:
                self._tickets.release()
        return True

    def release(self) -> None:
        """Let all further statements pass."""
        self._free.set()
        self._tickets.release(1000)


async def interleaved(
    first: Awaitable[Any],
    second: Awaitable[Any],
    steppers: tuple[Stepper, Stepper],
    at: int,
    server: "psycopg.Connection[Any]",
) -> tuple[Any, Any] | None:
    """The first transaction runs `at` statements.  Then the second one runs to its end, or until it waits for a lock.
    Then the first one ends.  None when the first one has fewer statements."""
    for stepper in steppers:
        stepper.hold()
    one = asyncio.ensure_future(first)
    if not await steppers[0].step(at, one):
        for stepper in steppers:
            stepper.release()
        second.close()  # type: ignore[attr-defined]
        await asyncio.wait({one})
        one.exception()
        return None
    steppers[1].release()
    two = asyncio.ensure_future(second)
    while not two.done() and not _waits(server, steppers[1].pid):  # noqa: ASYNC110 - the server sets no event
        await asyncio.sleep(POLL_S * 2)
    steppers[0].release()
    await asyncio.wait({one, two})
    return outcome(one), outcome(two)


def _waits(server: "psycopg.Connection[Any]", pid: int) -> bool:
    """Whether another process holds a lock that this one waits for."""
    row = server.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", (pid,)).fetchone()
    return row is not None and bool(row[0])


def outcome(done: "asyncio.Future[Any]") -> str:
    """What the caller of a transaction receives, as a text without made ids."""
    error = done.exception()
    return normal(repr(done.result()) if error is None else f"{type(error).__name__}: {error}")


_MADE = re.compile(r"made-(\d)-\d+")
_TIME = re.compile(r"datetime\.datetime\((?!2026, 3, 4,)[^()]*(?:\(\))?[^()]*\)|refused \d{4}-\d\d-\d\d [\d:]+Z")
_FAR = timedelta(days=100)
_SERIAL = frozenset(
    {
        ("notifications", "serial"),
        ("notifications", "number"),
        ("migrations", "id"),
        ("keypairs", "id"),
        ("aggregates", "id"),
    }
)
"""Columns whose values show the order of two transactions, and no more."""


def normal(text: str) -> str:
    """The text without times of the clock, and without the numbers of made ids: a transaction that runs again makes new
    ones."""
    return _TIME.sub("a time", _MADE.sub(r"made-\1", text))


def content(snapshot: Snapshot, tables: Collection[str], *, times: bool = True) -> dict[str, list[str]]:
    """The rows of these tables, sorted; without `times`, all times are alike, as on engines with different clocks."""
    return {name: _rows(snapshot, metadata.tables[name], times) for name in sorted(tables)}


def _rows(snapshot: Snapshot, table: sa.Table, times: bool) -> list[str]:
    columns = [column for column in table.c if (table.name, column.name) not in _SERIAL]
    found = snapshot.execute(sa.select(*columns))
    return sorted(normal(repr([_value(value, times) for value in row])) for row in found)


def _value(value: Any, times: bool) -> Any:
    """A time by the clock of the database differs from run to run."""
    if isinstance(value, datetime) and (not times or abs(value - make.NOW) > _FAR):
        return "a time"
    return value


def difference(found: dict[str, list[str]], others: Sequence[dict[str, list[str]]]) -> str:
    """Which tables differ from those of each serial order, for the message of a test."""
    lines: list[str] = []
    for number, other in enumerate(others):
        for name, rows in found.items():
            if rows != other[name]:
                more, less = set(rows) - set(other[name]), set(other[name]) - set(rows)
                lines.append(f"order {number}, {name}: more {more}, less {less}")
    return "\n".join(lines)
