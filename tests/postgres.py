# SPDX-License-Identifier: Apache-2.0
"""Tests on PostgreSQL: one private server for each test process, and a new database for each test.

With KILONOVA_TEST_DATABASE=postgresql in the environment, the databases of all clouds and conductors of the tests are
PostgreSQL's: `KILONOVA_TEST_DATABASE=postgresql python -m pytest tests/service`.  A test module uses it always with the
fixture `on_postgres`.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path

import sqlalchemy as sa

from kilonova.base.clock import SystemClock
from kilonova.base.threads import DaemonWorkers, InlineWorkers, Workers
from kilonova.conductor import bootstrap
from kilonova.db.postgres import schema
from kilonova.db.postgres.connection import make_engine
from kilonova.db.postgres.database import PostgresDatabase
from kilonova.db.postgres.url import parameters
from lab.common import memory_directory
from lab.postgres import PrivatePostgres

SIZE = 5


class _Switch:
    used = os.environ.get("KILONOVA_TEST_DATABASE") == "postgresql"


_numbers = count(1)
_urls: dict[Path, str] = {}
_engines: list[sa.Engine] = []
_of_test: list[Path] = []


def is_used() -> bool:
    """Whether the databases of tests are PostgreSQL's now."""
    return _Switch.used


@contextmanager
def used() -> Generator[None]:
    """The databases of tests are PostgreSQL's in this block."""
    before, _Switch.used = _Switch.used, True
    try:
        yield
    finally:
        _Switch.used = before


def url_of(state: Path) -> str | None:
    """The URL of the database of a cloud on PostgreSQL, by its state directory."""
    return _urls.get(state)


def new_database(state: Path, admin: bootstrap.FirstAdmin | None = None) -> str:
    """The URL of a new database for a state directory: with empty tables, or as the first start of a service leaves
    it."""
    template = _with_schema() if admin is None else _bootstrapped(admin)
    _urls[state] = server().create_database(f"t{next(_numbers)}", template)
    return _urls[state]


def forget_database(state: Path) -> None:
    """Remove the database of a state directory."""
    url = _urls.pop(state, None)
    if url is not None:
        server().drop_database(url.rpartition("/")[2])


def opened(url: str, workers: Workers | None = None) -> PostgresDatabase:
    """A Database; with `InlineWorkers` its transactions run in the caller's thread."""
    workers = workers or DaemonWorkers("db", SIZE)
    size = 1 if isinstance(workers, InlineWorkers) else SIZE
    engine = make_engine(parameters(url), size=size)
    _engines.append(engine)
    return PostgresDatabase(engine, workers, SystemClock())


def one_worker(url: str) -> tuple[sa.Engine, PostgresDatabase]:
    """A Database that runs one transaction at a time, and its engine, to step its statements."""
    engine = make_engine(parameters(url), size=1)
    return engine, PostgresDatabase(engine, DaemonWorkers("db", 1), SystemClock(), write_s=20.0)


def forget_all() -> None:
    """Close the connections of a test, and remove the databases that it has not forgotten itself."""
    while _engines:
        _engines.pop().dispose()
    while _of_test:
        forget_database(_of_test.pop())


def inline_database(state: Path, admin: bootstrap.FirstAdmin) -> PostgresDatabase:
    """A new database for one test, whose transactions run in the caller's thread."""
    _of_test.append(state)
    return opened(new_database(state, admin), InlineWorkers())


@contextmanager
def private_server() -> Generator[PrivatePostgres]:
    """A server of one test's own, to stop, to kill and to freeze."""
    directory = Path(tempfile.mkdtemp(prefix="kn-pg-", dir=memory_directory()))
    directory.chmod(0o711)  # (another user runs the server)
    try:
        with PrivatePostgres(directory / "pg") as found:
            yield found
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@cache
def server() -> PrivatePostgres:
    """The server of this process."""
    running = private_server()
    found = running.__enter__()
    atexit.register(running.__exit__, None, None, None)
    return found


@cache
def _with_schema() -> str:
    with schema.connected(parameters(server().create_database("schema"))) as connection:
        schema.upgrade(connection)
    return "schema"


@cache
def _bootstrapped(admin: bootstrap.FirstAdmin) -> str:
    name = f"bootstrapped{next(_numbers)}"
    url = server().create_database(name, _with_schema())
    with schema.connected(parameters(url)) as connection, schema.whole(connection):
        assert bootstrap.record_first_admin(connection, admin)
    return name
