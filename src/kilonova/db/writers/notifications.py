# SPDX-License-Identifier: Apache-2.0
"""Writing notifications: the outbox.

A notification is inserted in the transaction of the event that it reports, so that both are on disk or neither is.
Its number comes later, from `number`: while two transactions run at the same time, the order of their inserts is not
the order of their commits, and a reader that continues after the highest number would miss the later commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from kilonova.db.readers.notifications import numbered_of
from kilonova.db.schema import notifications, outbox
from kilonova.db.transaction import RECORDED, Transaction
from kilonova.objects.notification import Notification, Numbered

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
_LAST = sa.func.coalesce(sa.select(outbox.c.numbered).where(outbox.c.id == 1).scalar_subquery(), 0)
_GIVE = (
    sa.update(notifications)
    .where(notifications.c.serial == _UNNUMBERED.c.serial)
    .values(number=_LAST + _UNNUMBERED.c.place)
    .returning(*notifications.c)
)
_ADVANCE = (
    sa.update(outbox)
    .where(outbox.c.id == 1)
    .values(numbered=outbox.c.numbered + sa.bindparam("more", type_=sa.BigInteger))
    .returning(outbox.c.numbered, outbox.c.published)
)
_RECORD = sa.update(outbox).where(outbox.c.published < sa.bindparam("up_to")).values(published=sa.bindparam("up_to"))
_OLD = sa.delete(notifications).where(notifications.c.number <= sa.bindparam("up_to"))


@dataclass(frozen=True, slots=True)
class Batch:
    """The notifications that were numbered together, in the order of their numbers.  `published` is the last number
    that some conductor has published, `numbered` the last number that was given."""

    fresh: Sequence[Numbered]
    published: int
    numbered: int

    @property
    def is_full(self) -> bool:
        """Whether there may be more without a number."""
        return len(self.fresh) == AT_ONCE


def insert(tx: Transaction, id: str, notification: Notification) -> None:
    """Record a notification.  The id is new.  The engine reports its commit (`Database.on_recorded`)."""
    tx.info[RECORDED] = True
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


_REPLACE = sa.update(notifications).where(notifications.c.number.is_(None))


def put_newest(tx: Transaction, of: str, id: str, notification: Notification) -> None:
    """Record a notification in place of an earlier one with this `of` that has no number yet, and which nobody has
    received.  Their ids begin with `of` and a dot; `id` is new."""
    changed = _REPLACE.where(notifications.c.id.startswith(f"{of}.", autoescape=True))
    values = {
        "id": id,
        "created_at": notification.created_at,
        "payload": dict(notification.payload),
    }
    if tx.execute(changed.values(values)).rowcount:
        tx.info[RECORDED] = True
    else:
        insert(tx, id, notification)


def number(tx: Transaction, published: bool) -> Batch:
    """Give numbers to the notifications that are committed and have none, and delete those beyond `KEPT`.

    `published`: there is no bus to publish them on, so they count as published.  Two conductors that number at the same
    time change the same rows: the database lets one of them begin again.
    """
    fresh = sorted((numbered_of(row) for row in tx.execute(_GIVE)), key=lambda one: one.number)
    numbered, sent = _advance(tx, len(fresh))
    if published and sent != numbered:
        record_published(tx, numbered)
    if numbered // TRIM != (numbered - len(fresh)) // TRIM:
        tx.execute(_OLD, {"up_to": numbered - KEPT})
    return Batch(fresh, sent, numbered)


def _advance(tx: Transaction, more: int) -> tuple[int, int]:
    """Record that so many more have numbers.  Returns the last number that was given, and the last that was
    published."""
    position = tx.execute(_ADVANCE, {"more": more}).first() if more else tx.execute(_POSITION).first()
    if position is None:
        tx.execute(sa.insert(outbox).values(id=1, numbered=more, published=0))
    numbered, sent = position or (more, 0)
    return numbered, sent


def record_published(tx: Transaction, number: int) -> None:
    """Every notification up to this number has reached the bus."""
    tx.execute(_RECORD, {"up_to": number})
