# SPDX-License-Identifier: Apache-2.0
"""Copying the database of a stopped one box into an empty PostgreSQL database.

Everything is copied as it is: the hosts keep their ids and epochs, so that a host goes on under its running guests.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from kilonova.base.errors import DatabaseUnreadable, StateError
from kilonova.db import sqlite
from kilonova.db.inspect import inspect
from kilonova.db.location import sqlite_url
from kilonova.db.migrate import HEAD
from kilonova.db.postgres.connection import driver_of, refuse_other_schema
from kilonova.db.postgres.failures import words_of
from kilonova.db.postgres.schema import connected, whole
from kilonova.db.schema import metadata

BATCH = 500
"""Rows in one statement."""

FILLED = frozenset({"outbox", "schema_version"})
"""Tables in which the migrations themselves put a row: the source's replaces it."""

Progress = Callable[[str, int, int], None]
"""Called with a table, the number of its rows so far, and of all of them."""


def migrate_from(path: Path, parameters: Mapping[str, str], progress: Progress) -> Mapping[str, int]:
    """Copy every table in one transaction; returns the number of rows of each.

    Raises StateError, and has changed nothing then: the source is damaged or of another revision, the target is not
    empty, or a value cannot be stored there.  The source is only read.  No service may run on it.
    """
    _refuse_source(path)
    with _reading(path) as source, connected(parameters) as target:
        refuse_other_schema(driver_of(target))
        with whole(target):
            _refuse_full(target)
            copied = {table.name: _copy(table, source, target, progress) for table in metadata.sorted_tables}
            _compare(target, copied)
        return copied


def _refuse_source(path: Path) -> None:
    found = inspect(path)
    if found.damage:
        raise StateError(f"The database {path} is damaged: {found.damage}; restore a backup first (kilonova restore).")
    if found.revision != HEAD:
        raise StateError(
            f"The database {path} has revision {found.revision}, this Kilonova needs {HEAD}: start the one box once "
            "with this version, and stop it."
        )


@contextmanager
def _reading(path: Path) -> Generator[sa.Connection]:
    """One snapshot of the source."""
    engine = sqlite.make_engine(sqlite_url(path), readers=1)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection
            connection.rollback()
    finally:
        engine.dispose()


def _refuse_full(target: sa.Connection) -> None:
    for table in metadata.sorted_tables:
        if table.name in FILLED:
            target.execute(sa.delete(table))
        elif target.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None:
            raise StateError(
                f"The database of [database] connection is not empty: its table {table.name} has rows. Nothing was "
                "copied."
            )


def _copy(table: sa.Table, source: sa.Connection, target: sa.Connection, progress: Progress) -> int:
    total = _count(source, table)
    done = 0
    progress(table.name, done, total)
    found = source.execute(sa.select(table)).mappings()
    while rows := found.fetchmany(BATCH):
        _insert(table, target, [dict(row) for row in rows])
        done += len(rows)
        progress(table.name, done, total)
    _set_sequence(table, target)
    return done


def _insert(table: sa.Table, target: sa.Connection, rows: list[dict[str, Any]]) -> None:
    try:
        target.execute(sa.insert(table), rows)
    except (DBAPIError, psycopg.Error) as exc:
        raise StateError(
            f"A row of the table {table.name} cannot be stored in PostgreSQL: {words_of(exc)}. Nothing was copied."
        ) from exc


def _set_sequence(table: sa.Table, target: sa.Connection) -> None:
    """The next generated number is after the copied ones."""
    column = table.autoincrement_column
    if column is not None:
        highest = sa.select(sa.func.max(column)).scalar_subquery()
        sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
        target.execute(sa.select(sa.func.setval(sequence, sa.func.coalesce(highest, 1), highest.is_not(None))))


def _compare(target: sa.Connection, copied: Mapping[str, int]) -> None:
    for table in metadata.sorted_tables:
        if _count(target, table) != copied[table.name]:
            raise DatabaseUnreadable(f"The copy of the table {table.name} has not all of its rows. Nothing was copied.")


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
