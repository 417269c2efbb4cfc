# SPDX-License-Identifier: Apache-2.0
"""Opening the database that a conductor owns, in another process: an API process of a fleet, or a command."""

from pathlib import Path

import sqlalchemy as sa

from kilonova.base.clock import Clock
from kilonova.base.threads import DaemonWorkers
from kilonova.config.database import DatabaseSettings
from kilonova.db import location
from kilonova.db.compatibility import LOWEST, refusal
from kilonova.db.engine import Database
from kilonova.db.migrate import HEAD
from kilonova.db.opening import open_on_server
from kilonova.db.sqlite import SqliteDatabase
from kilonova.db.transaction import Snapshot


def open_existing(state: Path, settings: DatabaseSettings, clock: Clock) -> Database:
    """The database, which is neither created nor migrated: `schema_trouble` reports whether it can be used.  Raises
    ConfigError for a configured database of another kind."""
    if location.is_on_server(settings.connection, state):
        return open_on_server(settings, clock)
    return SqliteDatabase(
        f"sqlite:///file:{location.database_path(state)}?mode=rw&uri=true",
        writer=DaemonWorkers("db-writer", 1),
        reader=DaemonWorkers("db-reader", settings.readers),
        readers=settings.readers,
    )


def schema_trouble(snapshot: Snapshot) -> str:
    """Why the code cannot use this database, in one sentence; empty if it can."""
    found = _revision(snapshot)
    if found is None:
        return "The database has no tables yet: start a conductor."
    if found < HEAD:
        return f"The database has revision {found} and this code needs {HEAD}: upgrade it with a newer conductor."
    if found > HEAD and (why := refusal(found, HEAD, _lowest(snapshot))):
        return f"The database {why}: start that version."
    return ""


def _lowest(snapshot: Snapshot) -> int | None:
    if not sa.inspect(snapshot).has_table("schema_version"):
        return None
    return snapshot.execute(sa.text(LOWEST)).scalar()


def _revision(snapshot: Snapshot) -> str | None:
    if not sa.inspect(snapshot).has_table("alembic_version"):
        return None
    return snapshot.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
