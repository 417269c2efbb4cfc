# SPDX-License-Identifier: Apache-2.0
"""Opening the database of a state directory, for a service or for reading beside a running service."""

from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import DatabaseError

from kilonova.base.clock import Clock
from kilonova.base.errors import DatabaseUnreadable
from kilonova.base.threads import DaemonWorkers, InlineWorkers
from kilonova.config.database import DatabaseSettings
from kilonova.db import location, reserve
from kilonova.db.engine import Database
from kilonova.db.migrate import ensure_schema
from kilonova.db.transaction import Snapshot

P = ParamSpec("P")
T = TypeVar("T")


def open_database(state: Path, settings: DatabaseSettings, clock: Clock) -> Database:
    """The database of a conductor or an API, with the schema of this code; it is created or migrated first.

    Blocks.  Raises StateError in one sentence, and ConfigError for a configured database of another kind.
    """
    location.refuse_other_database(settings.connection, state)
    path = location.database_path(state)
    reserve.release(state)
    ensure_schema(path, clock)
    path.chmod(0o600)  # (it contains password hashes)
    return Database(
        location.sqlite_url(path),
        writer=DaemonWorkers("db-writer", 1),
        reader=DaemonWorkers("db-reader", settings.readers),
        readers=settings.readers,
    )


async def read_beside(state: Path, fn: Callable[Concatenate[Snapshot, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`fn(snapshot, ...)` on a database that a service may be using.  Raises DatabaseUnreadable."""
    path = location.existing_database(state)
    db = Database(location.sqlite_url(path), writer=InlineWorkers(), reader=InlineWorkers())
    try:
        return await db.read(fn, *args, **kwargs)
    except DatabaseError as exc:
        raise DatabaseUnreadable(f"The database {path} cannot be read: {exc.orig}.") from exc
    finally:
        await db.close()
