# SPDX-License-Identifier: Apache-2.0
"""Connections to PostgreSQL.

Each new connection checks the schema of the database, and reads the id of the server's run.  Transactions begin and end
only where the code says so (psycopg's implicit BEGIN is off).
"""

import contextlib
import logging
from collections.abc import Mapping
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import QueuePool

from kilonova.base.errors import DatabaseUnreadable
from kilonova.db.compatibility import LOWEST, refusal
from kilonova.db.migrate import HEAD
from kilonova.db.postgres.failures import has_changed_type

logging.getLogger("psycopg").setLevel(logging.ERROR)  # (it reports each conflict within several rows as a warning)

UPGRADE = "kilonova db upgrade"
_RUN = "kilonova_server_run"
_WAIT_S = 0.1
"""A worker never waits for a connection: there are as many connections as workers."""

SERVER_RUNS = """
CREATE UNLOGGED TABLE IF NOT EXISTS server_runs (one SMALLINT PRIMARY KEY CHECK (one = 1), id UUID NOT NULL)
"""
"""The id of the current run of the server, in a table that PostgreSQL empties when it recovers from a crash, and that a
standby does not have.

A transaction id tells the outcome of a COMMIT only within one run: after a crash, and on another server, the same
number may belong to another transaction, because a number that was lost with its log is used again.
"""
_PUT_RUN = "INSERT INTO server_runs (one, id) VALUES (1, gen_random_uuid()) ON CONFLICT (one) DO NOTHING"
_READ_RUN = "SELECT id::text FROM server_runs"
_TIMELINE = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END"
_IS_THERE = "SELECT to_regclass('alembic_version')"
_REVISION = "SELECT version_num FROM alembic_version"


def make_engine(parameters: Mapping[str, str], *, size: int, check: bool = True) -> sa.Engine:
    """An engine with at most `size` connections.  With `check`, a connection raises OtherSchema when the schema
    is not that of this code, and psycopg.OperationalError when the server is a former primary."""
    timeline = Timeline()

    def connect() -> psycopg.Connection[Any]:
        connection = psycopg.connect(**parameters, autocommit=True)  # type: ignore[arg-type]
        try:
            if check:
                timeline.refuse_former(connection)
                refuse_other_schema(connection)
            return connection
        except BaseException:
            connection.close()
            raise

    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=connect,
        isolation_level="AUTOCOMMIT",
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=_WAIT_S,
        pool_use_lifo=True,
        hide_parameters=True,  # the text of an error must not contain bound values: they may be secrets
    )
    event.listen(engine, "handle_error", _drop_outdated)
    if check:
        event.listen(engine, "connect", _remember_run)
    return engine


def _drop_outdated(failure: ExceptionContext) -> None:
    """After an upgrade of the schema, all connections of the pool are made anew: each may have prepared the
    statement."""
    if has_changed_type(failure.original_exception):
        failure.is_disconnect = True


class Timeline:
    """The newest timeline of the servers that one process has used.

    A promotion begins a new timeline.  A former primary that runs again has an older one, and would accept what the new
    primary does not have.
    """

    def __init__(self) -> None:
        self._newest = 0

    def refuse_former(self, connection: psycopg.Connection[Any]) -> None:
        """Raises psycopg.OperationalError for a server whose place another server has taken; a standby passes."""
        row = connection.execute(_TIMELINE).fetchone()
        found = 0 if row is None or row[0] is None else int(row[0], 16)
        if 0 < found < self._newest:
            where = f"{connection.info.host}:{connection.info.port}"
            raise psycopg.OperationalError(f"{where} is a former primary that was replaced: stop that server")
        self._newest = max(self._newest, found)


def server_run(connection: sa.Connection) -> str:
    """The id of the run of the server that this connection belongs to.  Raises psycopg.Error when the server takes no
    writes, and has therefore no run."""
    if not connection.info[_RUN]:
        try:
            connection.info[_RUN] = _put_run(driver_of(connection))
        except psycopg.Error:
            connection.invalidate()  # (a session may stay read-only for as long as it lasts)
            raise
    return str(connection.info[_RUN])


def driver_of(connection: sa.Connection) -> psycopg.Connection[Any]:
    """The connection of psycopg below."""
    found = connection.connection.driver_connection
    assert isinstance(found, psycopg.Connection)
    return found


def revision_of(connection: psycopg.Connection[Any]) -> str | None:
    """The revision of the schema; None for a database without one."""
    row = connection.execute(_IS_THERE).fetchone()
    if row is None or row[0] is None:
        return None
    row = connection.execute(_REVISION).fetchone()
    return None if row is None else str(row[0])


def lowest_of(connection: psycopg.Connection[Any]) -> int | None:
    """The lowest code version that may use the database; None if it is not recorded."""
    row = connection.execute("SELECT to_regclass('schema_version')").fetchone()
    if row is None or row[0] is None:
        return None
    row = connection.execute(LOWEST).fetchone()
    return None if row is None else int(row[0])


class OtherSchema(DatabaseUnreadable):
    """The database has no schema, or a schema that this code may not use."""


def refuse_other_schema(connection: psycopg.Connection[Any]) -> None:
    """Raises OtherSchema unless this code may use the database: it has this code's schema, or a newer schema
    that permits this code."""
    found = revision_of(connection)
    if found is None:
        raise OtherSchema(f"The database of [database] connection is empty: run {UPGRADE} once.")
    if found < HEAD:
        raise OtherSchema(
            f"The database of [database] connection has the older revision {found}, this Kilonova needs {HEAD}: run "
            f"{UPGRADE}."
        )
    if found > HEAD and (why := refusal(found, HEAD, lowest_of(connection))):
        raise OtherSchema(f"The database of [database] connection {why}: start that version.")


def _remember_run(connection: psycopg.Connection[Any], record: Any) -> None:
    """A server that takes no writes now has no run yet: its connections serve reads."""
    record.info[_RUN] = ""
    with contextlib.suppress(psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.DiskFull):
        record.info[_RUN] = _put_run(connection)


def _put_run(connection: psycopg.Connection[Any]) -> str:
    connection.execute(_PUT_RUN)
    row = connection.execute(_READ_RUN).fetchone()
    return "" if row is None else str(row[0])
