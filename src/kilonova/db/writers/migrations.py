# SPDX-License-Identifier: Apache-2.0
"""Writing migrations.  An instance has at most one that has not ended."""

from datetime import datetime

import sqlalchemy as sa

from kilonova.db.codec import MIGRATIONS
from kilonova.db.schema import migrations
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import InstanceId
from kilonova.objects.migration import ENDED, Migration, MigrationStatus


def insert(tx: Transaction, migration: Migration) -> None:
    """Record a new one."""
    tx.execute(sa.insert(migrations).values(**MIGRATIONS.dump(migration)))


def pass_to(tx: Transaction, instance_id: InstanceId, status: MigrationStatus, now: datetime) -> None:
    """The instance's migration that has not ended goes on to `status`, or ends in it."""
    _pass(tx, instance_id, frozenset(MigrationStatus) - ENDED, status, now)


def close(tx: Transaction, instance_id: InstanceId, now: datetime) -> None:
    """The instance is gone: what waited is as good as confirmed, and what was under way never came to its end."""
    waited = frozenset({MigrationStatus.FINISHED, MigrationStatus.CONFIRMING})
    _pass(tx, instance_id, waited, MigrationStatus.CONFIRMED, now)
    pass_to(tx, instance_id, MigrationStatus.ERROR, now)


def wait_from(tx: Transaction, uuid: str, at: datetime) -> None:
    """A migration that waits has done so since then: the clock was put back or ahead."""
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
