# SPDX-License-Identifier: Apache-2.0
"""The time of the database, which all conductors share."""

from datetime import UTC, datetime

import sqlalchemy as sa

from kilonova.db.transaction import Snapshot

_NOW = sa.select(sa.func.clock_timestamp())


def database_now(snapshot: Snapshot, now: datetime) -> datetime:
    """The time by the clock of the database server.  SQLite has no clock of its own: the result is `now`."""
    if snapshot.dialect.name == "sqlite":
        return now
    found: datetime = snapshot.execute(_NOW).scalar_one()
    return found.astimezone(UTC)
