# SPDX-License-Identifier: Apache-2.0
"""Reading notifications."""

import sqlalchemy as sa

from kilonova.db.schema import notifications
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import HostName
from kilonova.objects.notification import Notification


def newest(snapshot: Snapshot, limit: int) -> list[Notification]:
    """The newest `limit` notifications, the newest first."""
    query = sa.select(notifications).order_by(notifications.c.serial.desc()).limit(limit)
    return [
        Notification(HostName(row.host), row.created_at, row.event_type, row.priority, row.payload)
        for row in snapshot.execute(query)
    ]
