# SPDX-License-Identifier: Apache-2.0
"""Checks of a PostgreSQL server and of the database on it, for `kilonova db check` and for the doctor."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from kilonova.base.clock import SystemClock
from kilonova.base.errors import DatabaseUnreadable, StateError
from kilonova.db.migrate import HEAD
from kilonova.db.postgres.connection import driver_of, refuse_other_schema
from kilonova.db.postgres.failures import Kind, is_disk_full, kind_of, words_of
from kilonova.db.postgres.schema import connected
from kilonova.db.postgres.session import write_trial
from kilonova.db.postgres.url import each_server

OLDEST = 14
"""The oldest version that has all settings of url.SESSION."""
FREE = 10
"""The number of free connections below which another process of the fleet may find none."""
CLOCK_S = 5.0
"""A difference of the clocks above this is a warning."""


class Level(StrEnum):
    """How serious a remark is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Remark:
    """The result of one check: a sentence, and the sentence that says what to do; empty when there is nothing."""

    level: Level
    message: str
    cure: str = ""


def check(parameters: Mapping[str, str]) -> list[Remark]:
    """All checks; the first one alone when the server cannot be reached.  Blocks, for as long as a connection may
    take."""
    try:
        with connected(parameters) as connection:
            found = [one for look in _CHECKS for one in look(connection)]
            return found + _primaries(parameters)
    except StateError as exc:
        return [Remark(Level.ERROR, exc.message, "Check [database] connection, the network and the server.")]


def _primaries(parameters: Mapping[str, str]) -> list[Remark]:
    """Whether two servers of the URL accept writes: what one of them accepts, the other one does not have."""
    found: list[str] = []
    for address, alone in each_server(parameters):
        with contextlib.suppress(StateError), connected(alone) as connection:
            if not connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one():
                found.append(address)
    if len(found) < 2:
        return []
    message = f"More than one server accepts writes: {' and '.join(found)}."
    return [Remark(Level.ERROR, message, "Stop the former primary at once, and make it a standby of the new one.")]


def _version(connection: sa.Connection) -> list[Remark]:
    number = driver_of(connection).info.server_version
    said = f"The server is PostgreSQL {number // 10000}.{number % 10000}."
    if number // 10000 < OLDEST:
        return [Remark(Level.ERROR, said, f"Kilonova needs PostgreSQL {OLDEST} or newer.")]
    return [Remark(Level.OK, said)]


def _schema(connection: sa.Connection) -> list[Remark]:
    try:
        refuse_other_schema(driver_of(connection))
    except DatabaseUnreadable as exc:
        message, _, cure = exc.message.partition(": ")
        return [Remark(Level.ERROR, f"{message}.", cure[:1].upper() + cure[1:])]
    return [Remark(Level.OK, f"The schema is current ({HEAD}).")]


_DURABLE: Mapping[str, str] = {
    "fsync": "a power failure may damage the whole database",
    "full_page_writes": "a power failure may damage the whole database",
    "synchronous_commit": "a power failure may lose what Kilonova has accepted",
}


def _durability(connection: sa.Connection) -> list[Remark]:
    found = {name: _setting(connection, name) for name in _DURABLE}
    off = [name for name, value in found.items() if value == "off"]
    if not off:
        return [Remark(Level.OK, "The server keeps what it has committed: " + ", ".join(found) + " are on.")]
    return [
        Remark(Level.ERROR, f"{name} is off: {_DURABLE[name]}.", f"Set {name} = on in postgresql.conf.") for name in off
    ]


def _standbys(connection: sa.Connection) -> list[Remark]:
    """Whether a failover loses what was accepted, and whether a commit waits for a standby that is not there.

    `sync_state` is NULL for a user without pg_read_all_stats: then the settings alone tell.
    """
    states = list(connection.exec_driver_sql("SELECT sync_state FROM pg_stat_replication").scalars())
    names = _setting(connection, "synchronous_standby_names")
    if names and _setting(connection, "synchronous_commit") != "local":
        if states and (None in states or not {"sync", "quorum"}.isdisjoint(states)):
            return [Remark(Level.OK, "A commit waits for a standby, so that a failover loses nothing.")]
        message = f"Every write waits: no synchronous standby is connected (synchronous_standby_names = {names})."
        return [Remark(Level.ERROR, message, "Start the standby, or remove it from synchronous_standby_names.")]
    if not states:
        return []
    message = f"{len(states)} standby is" if len(states) == 1 else f"{len(states)} standbys are"
    message += " asynchronous: a failover may lose the last accepted requests."
    return [Remark(Level.WARNING, message, "Set synchronous_standby_names (docs/fleet.md).")]


def _writable(connection: sa.Connection) -> list[Remark]:
    if _setting(connection, "transaction_read_only") == "off":
        return _trial(connection)
    standby = connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one()
    message = "The server is a standby." if standby else "The database is read-only (default_transaction_read_only)."
    return [Remark(Level.ERROR, message, "Name the primary server, or all servers, in [database] connection.")]


def _trial(connection: sa.Connection) -> list[Remark]:
    """Write as much as a few requests would, and take it back."""
    try:
        connection.exec_driver_sql("BEGIN")
        write_trial(connection)
        connection.exec_driver_sql("ROLLBACK")  # (a COMMIT would wait for a standby that is not there)
    except DBAPIError as exc:
        connection.exec_driver_sql("ROLLBACK")
        if kind_of(exc) is Kind.OTHER:
            raise
        cure = "Free some space on its file system." if is_disk_full(exc) else "See the log of the server."
        return [Remark(Level.ERROR, f"The server takes no writes: {words_of(exc)}.", cure)]
    return [Remark(Level.OK, "The database can be written.")]


def _encoding(connection: sa.Connection) -> list[Remark]:
    found = _setting(connection, "server_encoding")
    if found == "UTF8":
        return [Remark(Level.OK, "The encoding is UTF8.")]
    cure = "Create the database with ENCODING 'UTF8' TEMPLATE template0."
    return [Remark(Level.ERROR, f"The encoding is {found}: names in other scripts cannot be stored.", cure)]


def _connections(connection: sa.Connection) -> list[Remark]:
    most = int(_setting(connection, "max_connections")) - int(_setting(connection, "superuser_reserved_connections"))
    used: int = connection.exec_driver_sql(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    ).scalar_one()
    message = f"{most - used} of {most} connections are free."
    if most - used >= FREE:
        return [Remark(Level.OK, message)]
    cure = "Raise max_connections; each API and conductor opens up to [database] max_pool_size of them."
    return [Remark(Level.WARNING, message, cure)]


def _clock(connection: sa.Connection) -> list[Remark]:
    now: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    ahead_s = (now - SystemClock().now()).total_seconds()
    if abs(ahead_s) <= CLOCK_S:
        return [Remark(Level.OK, "The clocks of the server and of this machine agree.")]
    where = "ahead of" if ahead_s > 0 else "behind"
    message = f"The clock of the server is {abs(ahead_s):.0f} s {where} the clock of this machine."
    return [Remark(Level.WARNING, message, "Let NTP set both clocks: timedatectl set-ntp true.")]


def _setting(connection: sa.Connection, name: str) -> str:
    return str(connection.exec_driver_sql("SELECT current_setting(%s)", (name,)).scalar_one())


_CHECKS: tuple[Callable[[sa.Connection], list[Remark]], ...] = (
    _version,
    _schema,
    _durability,
    _standbys,
    _writable,
    _encoding,
    _connections,
    _clock,
)
