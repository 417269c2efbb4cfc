# SPDX-License-Identifier: Apache-2.0
"""The begin and the end of a transaction on one connection.  Everything here runs in a worker."""

import contextlib
from collections.abc import Generator
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.pq import TransactionStatus
from sqlalchemy import event
from sqlalchemy.exc import ProgrammingError

from kilonova.db.postgres.connection import driver_of
from kilonova.db.postgres.failures import Kind, kind_of
from kilonova.db.postgres.turn import Turn

_BEGIN_WRITE = """
BEGIN ISOLATION LEVEL {}; LOCK TABLE alembic_version IN {} MODE; SELECT pg_current_xact_id()::text
"""
"""One round trip.  LOCK TABLE comes before the snapshot of the transaction (PostgreSQL documentation, "LOCK"): what the
others have committed meanwhile is seen.  The id of the transaction is known before the COMMIT."""
_LOCK_USAGE = """
; INSERT INTO quota_usages (project_id, instances, cores, ram) VALUES ({project}, 0, 0, 0) ON CONFLICT DO NOTHING;
SELECT FROM quota_usages WHERE project_id = {project} FOR UPDATE
"""
"""In the same round trip: the row of a project without servers is created, so that it can be locked."""
_BESIDE_OTHERS, _ALONE = "ROW SHARE", "EXCLUSIVE"
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


def begin_write(connection: sa.Connection, *, alone: bool, usage_of: str | None = None) -> str:
    """Begin, and return the id of the transaction.  With `alone`, wait until no other write runs; the others wait then,
    and reads do not.  With `usage_of`, lock the usage of this project, and run READ COMMITTED."""
    driver, mode = driver_of(connection), _ALONE if alone else _BESIDE_OTHERS
    if usage_of is None:
        text = _BEGIN_WRITE.format("SERIALIZABLE", mode)
    else:
        lock = _LOCK_USAGE.format(project=sql.Literal(usage_of).as_string(driver))
        text = _BEGIN_WRITE.format("READ COMMITTED", mode) + lock
    cursor = driver.execute(text.encode(), prepare=False)
    cursor.nextset()
    cursor.nextset()
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
