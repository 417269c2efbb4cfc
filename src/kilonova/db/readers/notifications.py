# SPDX-License-Identifier: Apache-2.0
"""Reading notifications.  A notification without a number is not visible yet (see writers/notifications)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
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
_PUBLISHED = sa.select(outbox.c.published).where(outbox.c.id == 1)
_WAITING = sa.or_(_NUMBER.is_(None), sa.func.coalesce(_PUBLISHED.scalar_subquery(), 0) < _NUMBER)
_DELIVERY = sa.select(
    sa.func.coalesce(_NUMBERED.scalar_subquery(), 0),
    sa.func.coalesce(_PUBLISHED.scalar_subquery(), 0),
    sa.select(sa.func.count()).select_from(notifications).where(_WAITING).scalar_subquery(),
    sa.select(sa.func.min(notifications.c.created_at)).where(_WAITING).scalar_subquery(),
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far notifications have come: the last number that was given, and the last number that a conductor published
    on the bus.  `waiting`: how many are committed and not recorded as published; `waiting_since`: the time of the
    oldest of them."""

    numbered: int
    published: int
    waiting: int
    waiting_since: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which notifications to find: numbers above `after` and below `before`.  `event_type` also finds the types that
    begin with it and a dot."""

    after: int | None = None
    before: int | None = None
    event_type: str | None = None
    instance_id: str | None = None


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


@single_statement
def find(snapshot: Snapshot, wanted: Wanted, limit: int) -> list[Numbered]:
    """The first `limit` notifications after a number, or else the newest ones; always the oldest first."""
    query = sa.select(notifications).where(_NUMBER.is_not(None), *_conditions(wanted))
    forward = wanted.after is not None
    rows = snapshot.execute(query.order_by(_NUMBER if forward else _NUMBER.desc()).limit(limit))
    found = [numbered_of(row) for row in rows]
    return found if forward else found[::-1]


def _conditions(wanted: Wanted) -> Iterator[sa.ColumnElement[bool]]:
    number, kind = notifications.c.number, notifications.c.event_type
    if wanted.after is not None:
        yield number > wanted.after
    if wanted.before is not None:
        yield number < wanted.before
    if wanted.event_type is not None:
        yield sa.or_(kind == wanted.event_type, kind.startswith(f"{wanted.event_type}.", autoescape=True))
    if wanted.instance_id is not None:
        yield notifications.c.payload["uuid"].as_string() == wanted.instance_id


@single_statement
def delivery(snapshot: Snapshot) -> Delivery:
    """How far the delivery of notifications is."""
    return Delivery(*snapshot.execute(_DELIVERY).one())


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
