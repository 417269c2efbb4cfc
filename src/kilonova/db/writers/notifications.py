# SPDX-License-Identifier: Apache-2.0
"""Writing notifications."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from kilonova.db.schema import notifications
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import HostName

KEPT = 1000
"""How many are kept; the oldest go first."""


def insert(
    tx: Transaction,
    *,
    id: str,
    host: HostName,
    at: datetime,
    event_type: str,
    priority: str,
    payload: Mapping[str, str],
) -> None:
    """Record one, if it is not there yet, and let go of those beyond `KEPT`."""
    row = notifications.c
    if tx.execute(sa.select(row.serial).where(row.id == id)).first() is not None:
        return
    tx.execute(
        sa.insert(notifications).values(
            id=id, host=host, created_at=at, event_type=event_type, priority=priority, payload=dict(payload)
        )
    )
    newest = sa.select(sa.func.max(row.serial)).scalar_subquery()
    tx.execute(sa.delete(notifications).where(row.serial <= newest - KEPT))
