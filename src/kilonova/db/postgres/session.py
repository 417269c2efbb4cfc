# SPDX-License-Identifier: Apache-2.0
"""The begin and the end of a transaction on one connection.  Everything here runs in a worker."""

import contextlib
from collections.abc import Generator
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus
from sqlalchemy import event
from sqlalchemy.exc import ProgrammingError

from kilonova.db.postgres.connection import driver_of
from kilonova.db.postgres.failures import Kind, kind_of
from kilonova.db.postgres.turn import Turn

_BEGIN_WRITE = """
BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE alembic_version IN {} MODE; SELECT pg_current_xact_id()::text
"""
"""One round trip.  LOCK TABLE comes before the snapshot of the transaction (PostgreSQL documentation, "LOCK"): what the
others have committed meanwhile is seen.  The id of the transaction is known before the COMMIT."""
_BESIDE_OTHERS, _ALONE = _BEGIN_WRITE.format("ROW SHARE"), _BEGIN_WRITE.format("EXCLUSIVE")
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class Unanswered(Exception):
    """COMMIT was sent, and the connection was lost before the answer."""


@contextmanager
def connected(engine: sa.Engine, turn: Turn) -> Generator[sa.Connection]:
    """A connection that the turn can cut; what is not committed at the end is rolled back."""
    turn.take()
    with engine.connect() as connection:
        turn.use(driver_of(connection))
        try:
            yield connection
        finally:
            turn.leave()
            _clean(connection, broken=turn.cut_off)


def _clean(connection: sa.Connection, *, broken: bool) -> None:
    """Prepare the connection for the next transaction, or drop it."""
    if connection.invalidated:
        return
    driver = driver_of(connection)
    with contextlib.suppress(psycopg.Error):
        if not broken and driver.info.transaction_status is not TransactionStatus.IDLE:
            driver.rollback()
    if broken or driver.broken or driver.info.transaction_status is not TransactionStatus.IDLE:
        connection.invalidate()


def begin_write(connection: sa.Connection, *, alone: bool) -> str:
    """Begin, and return the id of the transaction.  With `alone`, wait until no other write runs; the others wait then,
    and reads do not."""
    cursor = driver_of(connection).execute(_ALONE if alone else _BESIDE_OTHERS, prepare=False)
    while cursor.nextset():
        pass
    row = cursor.fetchone()
    assert row is not None
    return str(row[0])


def begin_read(connection: sa.Connection) -> None:
    """Begin a read on one snapshot."""
    driver_of(connection).execute(_BEGIN_READ, prepare=False)


def end_read(connection: sa.Connection) -> None:
    """End a read.  By COMMIT: psycopg would drop its prepared statements at a ROLLBACK."""
    driver_of(connection).execute("COMMIT", prepare=False)


@contextmanager
def only_one_statement(connection: sa.Connection) -> Generator[None]:
    """A second statement on the connection raises RuntimeError: it would see a later state of the database than the
    first one."""
    executed = 0

    def count(*_: object) -> None:
        nonlocal executed
        executed += 1
        if executed > 1:
            raise RuntimeError("a function that is declared as a single statement executes a second one")

    event.listen(connection, "before_cursor_execute", count)
    yield


def commit(connection: sa.Connection) -> None:
    """Commit.  Raises Unanswered when the outcome is not known; after any other exception nothing is committed."""
    try:
        answer = driver_of(connection).execute("COMMIT", prepare=False).statusmessage
    except psycopg.Error as exc:
        if kind_of(exc) is Kind.LOST:
            raise Unanswered from exc
        raise
    if answer != "COMMIT":
        raise RuntimeError("a function went on after a statement had failed, and its transaction was rolled back")


def write_trial(connection: sa.Connection) -> None:
    """Write as much as a few requests would, into a temporary table that the COMMIT drops.  A user without the right to
    create one has no trouble because of that."""
    with contextlib.suppress(ProgrammingError):
        connection.exec_driver_sql(
            "CREATE TEMPORARY TABLE trial ON COMMIT DROP AS SELECT repeat(md5('trial'), 2048) AS bytes"
        )
