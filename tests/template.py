# SPDX-License-Identifier: Apache-2.0
"""Databases for tests: migrated once in each test process, and copied for each test.

Replaying the migrations costs a tenth of a second of CPU time and several syncs of the disk, which is more than most
tests need for everything else.  A process migrates with the code that it has loaded, so that a copy is never of an
older schema, and processes of pytest-xdist share nothing.  Tests of the migrations and of a service's first start do
not use this.
"""

import tempfile
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher

from kilonova.base.threads import InlineWorkers
from kilonova.conductor import bootstrap
from kilonova.db.engine import Database
from kilonova.db.location import sqlite_url
from kilonova.db.migrate import ensure_schema
from kilonova.db.sqlite import SqliteDatabase, make_engine
from kilonova.identity.passwords import MEMORY_KIB, PARALLELISM, TIME_COST


def put_schema(path: Path) -> None:
    """Make the database file `path` at the newest schema, with empty tables."""
    path.write_bytes(_migrated())


def put_bootstrapped(path: Path, admin: bootstrap.FirstAdmin) -> None:
    """Make the database file `path` as the first start of a service leaves it."""
    path.write_bytes(_bootstrapped(admin))


@cache
def password_hash(password: str) -> str:
    """The hash of a password, which takes 50 ms of CPU time, computed once."""
    return PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=PARALLELISM).hash(password)


def open_inline(path: Path) -> Database:
    """A database whose transactions run in the caller's thread."""
    workers = InlineWorkers()
    return SqliteDatabase(sqlite_url(path), writer=workers, reader=workers)


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory(prefix="kn-") as directory:
        path = Path(directory) / "kilonova.db"
        ensure_schema(path)
        return _read(path)


@cache
def _bootstrapped(admin: bootstrap.FirstAdmin) -> bytes:
    with tempfile.TemporaryDirectory(prefix="kn-") as directory:
        path = Path(directory) / "kilonova.db"
        put_schema(path)
        engine = make_engine(sqlite_url(path), readers=1)
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                assert bootstrap.record_first_admin(connection, admin)
                connection.exec_driver_sql("COMMIT")
        finally:
            engine.dispose()
        return _read(path)


def _read(path: Path) -> bytes:
    """The whole of a database that is closed: SQLite removes the write-ahead log with the last connection."""
    assert not path.with_name(f"{path.name}-wal").exists()
    return path.read_bytes()
