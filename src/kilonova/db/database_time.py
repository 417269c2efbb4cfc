# SPDX-License-Identifier: Apache-2.0
"""The time of the database, which all conductors share."""

import contextlib
from datetime import UTC, datetime

import sqlalchemy as sa

from kilonova.base.clock import Clock
from kilonova.base.errors import DatabaseUnavailable
from kilonova.base.fleet_clock import FleetClock
from kilonova.db.engine import Database
from kilonova.db.transaction import Snapshot

FOLLOW_S = 10.0
"""How often a process compares its clock with the database's."""
_NOW = sa.select(sa.func.clock_timestamp())


def database_now(snapshot: Snapshot, now: datetime) -> datetime:
    """The time by the clock of the database server.  SQLite has no clock of its own: the result is `now`."""
    if snapshot.dialect.name == "sqlite":
        return now
    found: datetime = snapshot.execute(_NOW).scalar_one()
    return found.astimezone(UTC)


async def follow(db: Database, clock: FleetClock, machine: Clock) -> None:
    """Correct `clock`, which is above `machine`, by the clock of the database.  Changes nothing without an answer."""
    with contextlib.suppress(DatabaseUnavailable):
        began = clock.monotonic()
        theirs = await db.read(database_now, machine.now())
        clock.follow(theirs, clock.monotonic() - began)
