# SPDX-License-Identifier: Apache-2.0
"""The schema of a PostgreSQL database: only `kilonova db upgrade` makes or changes it."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from kilonova.base.errors import StateError
from kilonova.db.migrate import HEAD, lowest_needed, run_migrations
from kilonova.db.postgres.connection import SERVER_RUNS, driver_of, lowest_of, make_engine, revision_of
from kilonova.db.postgres.failures import words_of
from kilonova.db.postgres.url import without_limits

_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(7041011)"
"""Two upgrades at the same time run one after the other; the number is ours alone in this database."""


@contextmanager
def connected(parameters: Mapping[str, str]) -> Generator[sa.Connection]:
    """A connection for a command, to a database of any schema and without limits of time.  Raises StateError when the
    database cannot be reached, or a statement fails."""
    engine = make_engine(without_limits(parameters), size=1, check=False)
    try:
        with engine.connect() as connection:
            yield connection
    except (DBAPIError, psycopg.Error) as exc:
        raise StateError(f"The database of [database] connection cannot be used: {words_of(exc)}.") from exc
    finally:
        engine.dispose()


def current(connection: sa.Connection) -> str | None:
    """The revision of the schema; None for a database without one."""
    return revision_of(driver_of(connection))


def upgrade(connection: sa.Connection) -> str | None:
    """Bring the database to HEAD in one transaction, and return the revision before; an empty database is filled.

    Raises StateError for a database of a newer version, and while a process is up that could not use the database any
    more.  After a failure the database is unchanged.
    """
    with whole(connection):
        connection.exec_driver_sql(_ONE_AT_A_TIME)
        found = current(connection)
        if found is not None and found > HEAD:
            raise StateError(
                f"The database of [database] connection was written by a newer Kilonova (revision {found}, this one "
                f"supports {HEAD}); nothing was changed."
            )
        _refuse_older_processes(connection)
        run_migrations(connection)
        connection.exec_driver_sql(SERVER_RUNS)
        return found


_OLDER = """
SELECT host, "binary", version FROM services
WHERE version < %(lowest)s AND up
AND (expires_at IS NULL OR expires_at > extract(epoch FROM clock_timestamp()) * 1000000)
ORDER BY host, "binary"
"""


def _refuse_older_processes(connection: sa.Connection) -> None:
    """Raises StateError when the migrations contract, so that the lowest code version rises, and a process with a lower
    version is up."""
    driver = driver_of(connection)
    before, lowest = lowest_of(driver), lowest_needed()
    if before is None or lowest <= before:
        return
    older = driver.execute(_OLDER, {"lowest": lowest}).fetchall()
    if older:
        found = ", ".join(f"{binary} on host {host} has code version {version}" for host, binary, version in older)
        raise StateError(
            f"The upgrade removes what older processes use, and some are up: {found}, and {lowest} is needed. Upgrade "
            "or stop them first; nothing was changed."
        )


@contextmanager
def whole(connection: sa.Connection) -> Generator[None]:
    """One transaction; an exception rolls it back."""
    connection.exec_driver_sql("BEGIN")
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        if not connection.invalidated:
            connection.exec_driver_sql("ROLLBACK")
        raise
