# SPDX-License-Identifier: Apache-2.0
"""Writing migrations.  An instance has at most one that has not ended."""

from datetime import datetime

import sqlalchemy as sa

from kilonova.db.codec import MIGRATIONS
from kilonova.db.schema import migrations
from kilonova.objects.ids import InstanceId
from kilonova.objects.migration import ENDED, Migration, MigrationStatus


def insert(connection: sa.Connection, migration: Migration) -> None:
    """Record a new one."""
    connection.execute(sa.insert(migrations).values(**MIGRATIONS.dump(migration)))


def pass_to(connection: sa.Connection, instance_id: InstanceId, status: MigrationStatus, now: datetime) -> None:
    """The instance's migration that has not ended goes on to `status`, or ends in it."""
    _pass(connection, instance_id, frozenset(MigrationStatus) - ENDED, status, now)


def close(connection: sa.Connection, instance_id: InstanceId, now: datetime) -> None:
    """The instance is gone: what waited is as good as confirmed, and what was under way never came to its end."""
    waited = frozenset({MigrationStatus.FINISHED, MigrationStatus.CONFIRMING})
    _pass(connection, instance_id, waited, MigrationStatus.CONFIRMED, now)
    pass_to(connection, instance_id, MigrationStatus.ERROR, now)


def wait_from(connection: sa.Connection, uuid: str, at: datetime) -> None:
    """A migration that waits has done so since then: the clock was put back or ahead."""
    connection.execute(sa.update(migrations).where(migrations.c.uuid == uuid).values(updated_at=at))


def _pass(
    connection: sa.Connection,
    instance_id: InstanceId,
    before: frozenset[MigrationStatus],
    status: MigrationStatus,
    now: datetime,
) -> None:
    row = migrations.c
    connection.execute(
        sa.update(migrations)
        .where(row.instance_id == instance_id, row.status.in_(sorted(before)))
        .values(status=status, updated_at=now)
    )
