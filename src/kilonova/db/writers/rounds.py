# SPDX-License-Identifier: Apache-2.0
"""Periodic work that one conductor does for all: each round is claimed here."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from kilonova.db.database_time import database_now
from kilonova.db.schema import rounds
from kilonova.db.transaction import Snapshot, Transaction

_OF_NAME = rounds.c.name == sa.bindparam("of_name")
_CLAIM = (
    sa.update(rounds)
    .where(_OF_NAME, sa.or_(rounds.c.at <= sa.bindparam("before"), rounds.c.at > sa.bindparam("after")))
    .values(at=sa.bindparam("now"), holder=sa.bindparam("by"), serial=rounds.c.serial + 1)
)
_SERIAL = sa.select(rounds.c.serial).where(_OF_NAME)


def claim(tx: Transaction, name: str, holder: str, interval_s: float, now: datetime) -> bool:
    """Claim the next round of this work.  False while the last round began less than `interval_s` ago, by the clock of
    the database.  A last round that lies further in the future than an interval began before the clock was set back,
    and does not count."""
    at, interval = database_now(tx, now), timedelta(seconds=interval_s)
    values = {"of_name": name, "before": at - interval, "after": at + interval, "now": at, "by": holder}
    if tx.execute(_CLAIM, values).rowcount == 1:
        return True
    return serial(tx, name) == 0 and _first(tx, name, holder, at)


def serial(snapshot: Snapshot, name: str) -> int:
    """The number of rounds of this work so far."""
    return snapshot.execute(_SERIAL, {"of_name": name}).scalar() or 0


def advance(tx: Transaction, name: str, holder: str, since: int, now: datetime) -> bool:
    """Compare-and-set: count a round if there were `since` rounds so far.  False if another conductor counted one
    meanwhile."""
    if since == 0:
        return serial(tx, name) == 0 and _first(tx, name, holder, now)
    step = sa.update(rounds).where(rounds.c.name == name, rounds.c.serial == since)
    return tx.execute(step.values(serial=since + 1, holder=holder, at=now)).rowcount == 1


def _first(tx: Transaction, name: str, holder: str, at: datetime) -> bool:
    try:
        with tx.begin_nested():
            tx.execute(sa.insert(rounds).values(name=name, at=at, holder=holder, serial=1))
    except IntegrityError:  # another conductor was first
        return False
    return True
