# SPDX-License-Identifier: Apache-2.0
"""Reading notifications.  A notification without a number is not visible yet (see writers/notifications)."""

from typing import Any

import sqlalchemy as sa

from kilonova.db.schema import notifications, outbox
from kilonova.db.transaction import Snapshot, single_statement
from kilonova.objects.ids import HostName
from kilonova.objects.notification import Notification, Numbered

_NUMBER = notifications.c.number
_WORK_LEFT = sa.select(
    sa.or_(
        sa.exists().where(_NUMBER.is_(None)),
        sa.exists().where(outbox.c.published < outbox.c.numbered),
    )
)

_NUMBERED = sa.select(outbox.c.numbered).where(outbox.c.id == 1)


@single_statement
def newest(snapshot: Snapshot, limit: int) -> list[Numbered]:
    """The newest `limit` notifications, the newest first."""
    query = sa.select(notifications).where(_NUMBER.is_not(None)).order_by(_NUMBER.desc()).limit(limit)
    return [numbered_of(row) for row in snapshot.execute(query)]


@single_statement
def after(snapshot: Snapshot, number: int, limit: int) -> list[Numbered]:
    """The first `limit` notifications after a number, the oldest first.  If the first number is not the next one,
    older notifications were deleted."""
    query = sa.select(notifications).where(notifications.c.number > number).order_by(_NUMBER).limit(limit)
    return [numbered_of(row) for row in snapshot.execute(query)]


def since(snapshot: Snapshot, number: int, limit: int) -> tuple[int, list[Numbered]]:
    """The last number that was given, and the notifications after `number`, the oldest first; when they are more than
    `limit`, or when `number` was not given yet, the newest `limit` ones.  Nothing new costs one row."""
    numbered = snapshot.execute(_NUMBERED).scalar() or 0
    if numbered == number:
        return numbered, []
    if 0 < numbered - number <= limit:
        return numbered, after(snapshot, number, limit)
    return numbered, newest(snapshot, limit)[::-1]


@single_statement
def is_work_left(snapshot: Snapshot) -> bool:
    """Whether a notification has no number, or is not recorded as published."""
    return snapshot.execute(_WORK_LEFT).scalar_one()


def numbered_of(row: sa.Row[Any]) -> Numbered:
    """The notification of a row of the table."""
    notification = Notification(HostName(row.host), row.created_at, row.event_type, row.priority, row.payload)
    return Numbered(row.number, row.id, notification)
