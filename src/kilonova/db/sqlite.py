# SPDX-License-Identifier: Apache-2.0
"""The engine of one process: SQLite with one writer thread, a few reader threads, and a write-ahead log.

Concurrent writes share commits (group commit): those that wait during one commit run in one transaction, each in a
savepoint.  So 20 concurrent requests need few disk syncs, and each still succeeds or fails alone.

While the database cannot be written (the disk is full or fails, another process holds SQLite's lock), every write
fails with DatabaseUnavailable.  It is certain then that nothing of the write was committed.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool

from kilonova.base.context import REQUEST_ID, serving
from kilonova.base.errors import (
    DatabaseLocked,
    DatabaseUnavailable,
    DatabaseUnreadable,
    InvalidInput,
    RequestOutcomeUnknown,
)
from kilonova.base.threads import Lock, Workers
from kilonova.db.engine import Usage, usage_of
from kilonova.db.transaction import take_recorded

P = ParamSpec("P")
T = TypeVar("T")

CLOSE_S = 5.0
"""How long `close` waits for running transactions."""

BATCH = 64
"""The maximum number of transactions that share one commit."""

LOCK_S = 4.0
"""How long a transaction waits for the lock of the file that another process holds (`sqlite3`, VACUUM, an editor).
Less than one attempt of a call (rpcapi.method): the caller receives the error, that nothing was done, before its own
timeout."""

_PASSING = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
    }
)
"""Failures of the machine, not of the statement: the same statement may succeed later."""


def _in_our_words(exc: Exception, *, committing: bool = False) -> Exception:
    """A failure of the machine, or a value that SQLite cannot store, as an error of the catalogue; any other exception
    unchanged.

    A commit whose sync failed may be on disk nevertheless: a recovery of the write-ahead log would find it there.
    """
    if isinstance(exc, OverflowError) and "SQLite INTEGER" in str(exc):
        return InvalidInput("The request has a value that cannot be stored: an integer of more than 64 bits.")
    cause = exc.orig if isinstance(exc, DatabaseError) else exc
    kind = cause.sqlite_errorcode & 0xFF if isinstance(cause, sqlite3.Error) else None
    if kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DatabaseUnreadable(
            f"The database is damaged: {cause}; stop the service and restore a backup (kilonova restore)."
        )
    if kind not in _PASSING:
        return exc
    if committing and kind == sqlite3.SQLITE_IOERR:
        return RequestOutcomeUnknown(f"The database failed while it committed: {cause}.")
    if kind == sqlite3.SQLITE_BUSY:
        return DatabaseLocked("Another process holds the lock of the database. Nothing was accepted; try again later.")
    return DatabaseUnavailable(f"The database cannot be used now: {cause}. Nothing was accepted; try again later.")


def _is_machines(error: Exception | None) -> bool:
    return isinstance(error, DatabaseUnavailable)


def make_engine(url: str, *, readers: int, lock_s: float = LOCK_S) -> sa.Engine:
    """An engine whose SQLite connections begin transactions only where the code says so (pysqlite's implicit BEGIN is
    off).

    synchronous=FULL: an accepted request survives a power cut.
    """
    engine = sa.create_engine(
        url,
        poolclass=QueuePool if readers > 1 else None,
        pool_size=readers,
        hide_parameters=True,  # the text of an error must not contain bound values: they may be secrets
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": lock_s},
    )

    def on_connect(connection: Any, _record: Any) -> None:
        # (auto_vacuum is for a new file: it can shrink, see db/space.)
        for pragma in (
            "auto_vacuum=INCREMENTAL",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", on_connect)
    return engine


class _Transaction:
    """One waiting write; the batch that runs it sets its outcome.  `begun` and `given_up` exclude each other: one is
    set, under the database's mutex, if the other is not."""

    __slots__ = (
        "args",
        "begun",
        "done",
        "error",
        "fn",
        "given_up",
        "kwargs",
        "number",
        "recorded",
        "request_id",
        "result",
    )

    def __init__(self, number: int, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.number, self.fn, self.args, self.kwargs = number, fn, args, kwargs
        self.done = self.begun = self.given_up = self.recorded = False
        self.request_id = REQUEST_ID.get()
        self.result: Any = None
        self.error: Exception | None = None


class SqliteDatabase:
    """A Database in one file.  A `write` that is cancelled before its function was called never happens, even if it
    waited for the file's lock; otherwise it has happened, or is happening now."""

    def __init__(self, url: str, *, writer: Workers, reader: Workers, readers: int = 2, lock_s: float = LOCK_S) -> None:
        self._engine = make_engine(url, readers=readers + 1, lock_s=lock_s)
        self._writer, self._reader = writer, reader
        self._waiting: list[_Transaction] = []
        self._turn = asyncio.Lock()
        self._refused = ""
        self._mutex = Lock()
        self._newest = 0
        self._listeners: list[Callable[[], None]] = []
        self._locked: tuple[DatabaseLocked | None, int] = (None, 0)
        """The last refusal because of the file's lock, and the number of the newest write at that time."""

    async def write(self, fn: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`fn(connection, ...)` in a transaction that is on disk when this returns."""
        self._newest += 1
        mine = _Transaction(self._newest, fn, args, kwargs)
        self._waiting.append(mine)
        try:
            while not mine.done:
                # The task that gets the turn runs the writes of all: the others find theirs done.
                async with self._turn:
                    if mine.done:
                        break
                    batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                    with serving(""):  # the batch belongs to several requests
                        await self._writer.run(self._run_batch, batch)
        except asyncio.CancelledError:
            self._give_up(mine)
            raise
        if mine.error is not None:
            raise mine.error
        for listener in self._listeners if mine.recorded else ():
            listener()
        return mine.result

    def _give_up(self, job: _Transaction) -> None:
        """Prevent the start of a waiting write."""
        with self._mutex:
            job.given_up = not job.begun
        if job in self._waiting:
            self._waiting.remove(job)

    async def read(self, fn: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`fn(connection, ...)` on a snapshot."""
        try:
            return await self._reader.run(self._run_read, fn, args, kwargs)
        except (DatabaseError, sqlite3.Error, OverflowError) as exc:
            error = _in_our_words(exc)
            if error is exc:
                raise
            raise error from exc

    def on_recorded(self, recorded: Callable[[], None]) -> None:
        """Call `recorded` after each commit of a transaction that has recorded a notification."""
        self._listeners.append(recorded)

    async def start(self) -> None:
        """Does nothing: a file is there at once (see migrate.ensure_schema)."""

    async def trouble(self) -> str:
        """The reason why the database cannot be written, in one sentence; empty when it can.  After a refused write
        this tries another one, so that it detects the end of the problem also without other writes."""
        if self._refused:
            with contextlib.suppress(DatabaseUnavailable):
                await self.write(_write_again)
        return self._refused

    def usage(self) -> Usage:
        """The file has one writer, and no call is repeated."""
        return usage_of(self._engine)

    async def close(self) -> None:
        """Finish the accepted transactions, then close the file. (A read continues after its caller has stopped
        waiting; a connection that outlives this would create a journal beside a file that may have been removed.)"""
        with contextlib.suppress(TimeoutError):  # (a disk that hangs must not delay the end of the service)
            async with asyncio.timeout(CLOSE_S):
                await self._writer.drain()
                await self._reader.drain()
        self._engine.dispose()

    def _run_read(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._engine.connect() as connection:
            _control(connection, "BEGIN")
            return fn(connection, *args, **kwargs)  # (the end of the block rolls back)

    def _run_batch(self, batch: list[_Transaction]) -> None:
        """Run all of `batch`, and set the outcome of each."""
        committing = False
        try:
            batch = self._without_refused(batch)
            if not batch:
                return
            with self._engine.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                try:
                    alone = len(batch) == 1
                    for job in batch:
                        if self._begin(job):
                            self._run_one(connection, job, alone=alone)
                    committing = True
                    _control(connection, "ROLLBACK" if alone and batch[0].error is not None else "COMMIT")
                    self._refused = next((str(job.error) for job in batch if _is_machines(job.error)), "")
                except BaseException:
                    if _is_open(connection):
                        _control(connection, "ROLLBACK")
                    raise
        except Exception as exc:  # the disk is full, or the file is missing: no write of the batch is on disk
            error = _in_our_words(exc, committing=committing)
            self._refused = str(error) if _is_machines(error) else self._refused
            for job in batch:
                job.result, job.error = None, error
            if isinstance(error, DatabaseLocked):
                self._locked = error, self._newest
        finally:
            for job in batch:
                job.done = True

    def _without_refused(self, batch: list[_Transaction]) -> list[_Transaction]:
        """Fail the writes that were queued during a failed wait for the lock: they have waited already, and a second
        wait would be longer than the timeout of the caller."""
        error, last = self._locked
        for job in batch:
            if job.number <= last:
                job.error, job.done = error, True
        return [job for job in batch if not job.done]

    def _begin(self, job: _Transaction) -> bool:
        """False when its caller has stopped waiting, and may have reported that the write did not happen."""
        with self._mutex:
            job.begun = not job.given_up
            return job.begun

    def _run_one(self, connection: sa.Connection, job: _Transaction, *, alone: bool) -> None:
        """Set the outcome of one write.  A write that is `alone` in its batch needs no savepoint: a failure rolls the
        batch back."""
        if not alone:
            _control(connection, "SAVEPOINT one")
        take_recorded(connection)  # of a write that was rolled back
        try:
            with serving(job.request_id):
                job.result = job.fn(connection, *job.args, **job.kwargs)
            job.recorded = take_recorded(connection)
        except Exception as exc:
            if not _is_open(connection):
                raise  # the database itself has rolled the whole transaction back
            if not alone:
                _control(connection, "ROLLBACK TO one")
            job.error = _in_our_words(exc)
        if not alone:
            _control(connection, "RELEASE one")


def _write_again(connection: sa.Connection) -> None:
    """Write as much as a few requests would, for a transaction that is rolled back."""
    connection.exec_driver_sql("CREATE TABLE trial (bytes BLOB)")
    connection.exec_driver_sql("INSERT INTO trial VALUES (zeroblob(65536))")
    connection.exec_driver_sql("DROP TABLE trial")


def _control(connection: sa.Connection, statement: str) -> None:
    """Begin or end a read, a savepoint or a transaction by the driver: it needs a seventh of the time of SQLAlchemy.
    Raises sqlite3.Error."""
    driver: Any = connection.connection.driver_connection
    driver.execute(statement)


def _is_open(connection: sa.Connection) -> bool:
    """Whether there is a transaction: after a failure of the disk SQLite may have ended it by itself."""
    return bool(getattr(connection.connection.driver_connection, "in_transaction", False))
