# SPDX-License-Identifier: Apache-2.0
"""Writing notifications."""

import sqlalchemy as sa

from kilonova.db.schema import notifications
from kilonova.db.transaction import Transaction
from kilonova.objects.notification import Notification

KEPT = 1000
"""The maximum number of notifications; the oldest are deleted first."""


def insert(tx: Transaction, id: str, notification: Notification) -> None:
    """Record a notification unless its id is recorded already, and delete those beyond `KEPT`."""
    row = notifications.c
    if tx.execute(sa.select(row.serial).where(row.id == id)).first() is not None:
        return
    tx.execute(
        sa.insert(notifications).values(
            id=id,
            host=notification.host,
            created_at=notification.created_at,
            event_type=notification.event_type,
            priority=notification.priority,
            payload=dict(notification.payload),
        )
    )
    newest = sa.select(sa.func.max(row.serial)).scalar_subquery()
    tx.execute(sa.delete(notifications).where(row.serial <= newest - KEPT))
