# SPDX-License-Identifier: Apache-2.0
"""Opening the database of a state directory, for a service or for reading beside a running service."""

from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import DatabaseError

from kilonova.base.clock import Clock, SystemClock
from kilonova.base.errors import DatabaseUnreadable
from kilonova.base.threads import DaemonWorkers, InlineWorkers
from kilonova.config.database import DatabaseSettings
from kilonova.db import location, reserve
from kilonova.db.engine import Database
from kilonova.db.migrate import ensure_schema
from kilonova.db.sqlite import SqliteDatabase
from kilonova.db.transaction import Snapshot

P = ParamSpec("P")
T = TypeVar("T")


def open_database(state: Path, settings: DatabaseSettings, clock: Clock) -> Database:
    """The database of a conductor or an API, with the schema of this code.

    SQLite is created or migrated first.  PostgreSQL is neither reached nor changed here: `start` checks it, and only
    `kilonova db upgrade` migrates it, because several processes share it.  Blocks.  Raises StateError in one sentence,
    and ConfigError for a configured database of another kind.
    """
    if location.is_on_server(settings.connection, state):
        return open_on_server(settings, clock)
    path = location.database_path(state)
    reserve.release(state)
    ensure_schema(path, clock)
    path.chmod(0o600)  # (it contains password hashes)
    return SqliteDatabase(
        location.sqlite_url(path),
        writer=DaemonWorkers("db-writer", 1),
        reader=DaemonWorkers("db-reader", settings.readers),
        readers=settings.readers,
    )


def open_on_server(settings: DatabaseSettings, clock: Clock) -> Database:
    """The configured database of PostgreSQL, which is not reached yet.  Raises ConfigError."""
    from kilonova.db.postgres.connection import make_engine  # (here: the one box has no psycopg)
    from kilonova.db.postgres.database import PostgresDatabase
    from kilonova.db.postgres.url import parameters

    size = settings.max_pool_size
    engine = make_engine(parameters(settings.connection), size=size)
    return PostgresDatabase(engine, DaemonWorkers("db", size), clock)


async def read_beside(
    state: Path,
    settings: DatabaseSettings,
    fn: Callable[Concatenate[Snapshot, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """`fn(snapshot, ...)` on a database that a service may be using.  Raises DatabaseUnreadable, DatabaseUnavailable,
    ConfigError."""
    if location.is_on_server(settings.connection, state):
        server = open_on_server(settings, SystemClock())
        try:
            return await server.read(fn, *args, **kwargs)
        finally:
            await server.close()
    path = location.existing_database(state)
    db = SqliteDatabase(location.sqlite_url(path), writer=InlineWorkers(), reader=InlineWorkers())
    try:
        return await db.read(fn, *args, **kwargs)
    except DatabaseError as exc:
        raise DatabaseUnreadable(f"The database {path} cannot be read: {exc.orig}.") from exc
    finally:
        await db.close()
