# SPDX-License-Identifier: Apache-2.0
"""Writing notifications: the outbox.

A notification is inserted in the transaction of the event that it reports, so that both are on disk or neither is.
Its number comes later, from `number`: while two transactions run at the same time, the order of their inserts is not
the order of their commits, and a reader that continues after the highest number would miss the later commit.
"""

import sqlalchemy as sa

from kilonova.db.schema import notifications, outbox
from kilonova.db.transaction import Transaction
from kilonova.objects.notification import Notification

KEPT = 10_000
"""The maximum number of notifications; the oldest are deleted first."""

AT_ONCE = 500
"""How many notifications one transaction numbers."""
TRIM = 256
"""The oldest are deleted once in so many notifications."""

_INSERT = sa.insert(notifications)
_POSITION = sa.select(outbox.c.numbered, outbox.c.published).where(outbox.c.id == 1)
_UNNUMBERED = (
    sa.select(notifications.c.serial, sa.func.row_number().over(order_by=notifications.c.serial).label("place"))
    .where(notifications.c.number.is_(None))
    .order_by(notifications.c.serial)
    .limit(AT_ONCE)
    .subquery()
)
_GIVE = (
    sa.update(notifications)
    .where(notifications.c.serial == _UNNUMBERED.c.serial)
    .values(number=sa.bindparam("after", type_=sa.BigInteger) + _UNNUMBERED.c.place)
)
_OLD = sa.delete(notifications).where(notifications.c.number <= sa.bindparam("up_to"))


def insert(tx: Transaction, id: str, notification: Notification) -> None:
    """Record a notification.  The id is new."""
    tx.execute(
        _INSERT,
        {
            "id": id,
            "host": notification.host,
            "created_at": notification.created_at,
            "event_type": notification.event_type,
            "priority": notification.priority,
            "payload": dict(notification.payload),
        },
    )


def insert_once(tx: Transaction, id: str, notification: Notification) -> None:
    """Record a notification unless its id is recorded already."""
    if tx.execute(sa.select(notifications.c.serial).where(notifications.c.id == id)).first() is None:
        insert(tx, id, notification)


def number(tx: Transaction, published: bool) -> tuple[int, int]:
    """Give numbers to the notifications that are committed and have none, and delete those beyond `KEPT`.

    `published`: there is no bus to publish them on, so they count as published.  Returns the last number that some
    conductor has published, and the last number given.  The lock on the outbox's row excludes another conductor.
    """
    position = tx.execute(_POSITION.with_for_update()).first()
    if position is None:
        tx.execute(sa.insert(outbox).values(id=1, numbered=0, published=0))
    before, sent = position or (0, 0)
    numbered = before + tx.execute(_GIVE, {"after": before}).rowcount
    if published:
        sent = numbered
    if numbered != before:
        tx.execute(sa.update(outbox).values(numbered=numbered, published=sent))
    if numbered // TRIM != before // TRIM:
        tx.execute(_OLD, {"up_to": numbered - KEPT})
    return sent, numbered


def record_published(tx: Transaction, number: int) -> None:
    """Every notification up to this number has reached the bus."""
    tx.execute(sa.update(outbox).where(outbox.c.published < number).values(published=number))
