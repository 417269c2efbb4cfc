# SPDX-License-Identifier: Apache-2.0
"""Writing migrations.  An instance has at most one unfinished migration."""

from datetime import datetime

import sqlalchemy as sa

from kilonova.db.codec import MIGRATIONS
from kilonova.db.schema import migrations
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.migration import ENDED, Migration, MigrationStatus


def insert(tx: Transaction, migration: Migration) -> None:
    """Record a new migration."""
    tx.execute(sa.insert(migrations).values(**MIGRATIONS.dump(migration)))


def pass_to(tx: Transaction, instance_id: InstanceId, status: MigrationStatus, now: datetime) -> None:
    """Set the status of the instance's unfinished migration; the new status may be a final one."""
    _pass(tx, instance_id, frozenset(MigrationStatus) - ENDED, status, now)


def choose_destination(tx: Transaction, uuid: str, host: HostName) -> None:
    """An evacuation has a host."""
    tx.execute(sa.update(migrations).where(migrations.c.uuid == uuid).values(dest_compute=host))


def close(tx: Transaction, instance_id: InstanceId, now: datetime) -> None:
    """End the migration of a deleted instance: a resize that waited counts as confirmed, a running one as failed."""
    waited = frozenset({MigrationStatus.FINISHED, MigrationStatus.CONFIRMING})
    _pass(tx, instance_id, waited, MigrationStatus.CONFIRMED, now)
    pass_to(tx, instance_id, MigrationStatus.ERROR, now)


def wait_from(tx: Transaction, uuid: str, at: datetime) -> None:
    """Set the time since which a migration has waited: the clock was set back or ahead."""
    tx.execute(sa.update(migrations).where(migrations.c.uuid == uuid).values(updated_at=at))


def _pass(
    tx: Transaction,
    instance_id: InstanceId,
    before: frozenset[MigrationStatus],
    status: MigrationStatus,
    now: datetime,
) -> None:
    row = migrations.c
    tx.execute(
        sa.update(migrations)
        .where(row.instance_id == instance_id, row.status.in_(sorted(before)))
        .values(status=status, updated_at=now)
    )
