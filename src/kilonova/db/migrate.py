# SPDX-License-Identifier: Apache-2.0
"""Migrating a database to the schema of this code.

The version is Alembic's.  Alembic itself is imported only for a migration: otherwise it would cost a tenth of a second
at every start.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DatabaseError

from kilonova.base.clock import Clock, SystemClock
from kilonova.base.errors import DatabaseUnreadable, StateError
from kilonova.db.compatibility import lowest_in_file, refusal
from kilonova.db.copies import copy_before_upgrade
from kilonova.db.location import sqlite_url
from kilonova.db.space import make_shrinkable
from kilonova.db.sqlite import make_engine

log = structlog.get_logger(__name__)

HEAD = "0029"
"""The newest revision in migrations/versions; a test compares."""


def ensure_schema(path: Path, clock: Clock | None = None) -> None:
    """Create or migrate the SQLite database at `path`; an older one is copied beside itself first (see copies).

    Raises StateError in one sentence: the file cannot be opened, is not a database, is damaged, was written by a newer
    Kilonova that this code cannot work beside, cannot be copied, or cannot be upgraded (it is left unchanged).
    """
    try:
        with closing(sqlite3.connect(path, timeout=10)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            found = _revision(connection)
            connection.rollback()
            _refuse_damaged(path, connection)
    except sqlite3.Error as exc:
        if getattr(exc, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT:
            raise _damaged(path, str(exc)) from exc
        raise StateError(f"The database {path} cannot be used: {exc}.") from exc
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        _refuse_newer(path, found)
        return
    if found is not None:
        _keep(path, found, clock or SystemClock())
        make_shrinkable(path)
    try:
        _upgrade(path)
    except DatabaseError as exc:
        raise StateError(f"The database {path} cannot be brought to revision {HEAD}: {exc.orig}.") from exc


def _refuse_newer(path: Path, found: str) -> None:
    """Raises StateError unless the database says that this code may use it."""
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        why = refusal(found, HEAD, lowest_in_file(connection))
    if why:
        raise StateError(f"The database {path} {why}; start that version, or restore a backup.")
    log.info("the database has a newer revision, which this version may use", revision=found, own=HEAD)


def _refuse_damaged(path: Path, connection: sqlite3.Connection) -> None:
    """SQLite's own check of the whole file (measured: 0.1 s for 185 MB in the page cache).  Without it a service would
    start on the readable part, and use an unreadable table of users as an empty one."""
    report = [str(line[0]) for line in connection.execute("PRAGMA quick_check(1)")]
    if report != ["ok"]:
        raise _damaged(path, "; ".join(report))


def _damaged(path: Path, words: str) -> StateError:
    """The message about a database that SQLite reports as damaged, in one line."""
    return StateError(
        f"The database {path} is damaged: {' '.join(words.split())}; restore a backup (kilonova restore)."
    )


def _keep(path: Path, revision: str, clock: Clock) -> None:
    try:
        copy = copy_before_upgrade(path, revision, clock.now())
    except (DatabaseUnreadable, OSError) as exc:
        raise StateError(
            f"The database {path} of revision {revision} is not upgraded, because no copy of it could be made: {exc}."
        ) from exc
    log.info("the database is upgraded", of=revision, to=HEAD, copy=str(copy))


def _revision(connection: sqlite3.Connection) -> str | None:
    table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    if table is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


_MIGRATIONS = Path(__file__).parent / "migrations"


def lowest_needed() -> int:
    """The lowest code version that may use a database of HEAD."""
    from alembic.script import ScriptDirectory

    found = ScriptDirectory(str(_MIGRATIONS)).walk_revisions()
    return max(int(getattr(one.module, "lowest_code_version", 1)) for one in found)


def run_migrations(connection: sa.Connection) -> None:
    """Bring a database to HEAD, inside the open transaction of this connection."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.execute(sa.text("UPDATE schema_version SET lowest_code_version = :lowest"), {"lowest": lowest_needed()})


def _upgrade(path: Path) -> None:
    engine = make_engine(sqlite_url(path), readers=1)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            run_migrations(connection)
            connection.exec_driver_sql("COMMIT")
    finally:
        engine.dispose()
