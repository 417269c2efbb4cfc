# SPDX-License-Identifier: Apache-2.0
"""Recording which hosts are up.  Each change is a compare-and-set on the epoch, and on the level that was read."""

from datetime import datetime

import sqlalchemy as sa

from kilonova.db.readers.hosts import COMPUTE, HostLevel
from kilonova.db.schema import services, suspicions
from kilonova.db.transaction import Transaction


def call_up(tx: Transaction, level: HostLevel, heard_at: datetime) -> bool:
    """Record that the process is up, and that no conductor suspects it.  False if the host has another process."""
    if level.suspected_at is not None:
        row = suspicions.c
        tx.execute(sa.delete(suspicions).where(row.host == level.host, row.epoch == level.epoch))
    return tx.execute(_of(level).values(up=True, updated_at=heard_at)).rowcount == 1


def suspect(tx: Transaction, level: HostLevel, holder: str, now: datetime) -> None:
    """Record that a conductor receives nothing from the process.  A suspicion that exists already stays."""
    if tx.execute(sa.select(services.c.id).where(*_is(level))).first() is None:
        return
    row = suspicions.c
    if tx.execute(sa.select(row.host).where(row.host == level.host, row.epoch == level.epoch)).first() is not None:
        return
    tx.execute(sa.delete(suspicions).where(row.host == level.host))
    tx.execute(sa.insert(suspicions).values(host=level.host, epoch=level.epoch, holder=holder, at=now))


def call_down(tx: Transaction, level: HostLevel, heard_at: datetime) -> bool:
    """Record that the process is down.  False if the level changed since it was read: the host has another process, or
    another conductor has received something from it."""
    row = suspicions.c
    stands = tx.execute(sa.select(row.at, row.holder).where(row.host == level.host, row.epoch == level.epoch)).first()
    if (None if stands is None else stands.at) != level.suspected_at:
        return False
    done = tx.execute(_of(level).values(up=False, updated_at=heard_at))
    tx.execute(sa.delete(suspicions).where(row.host == level.host))
    return done.rowcount == 1


def _is(level: HostLevel) -> tuple[sa.ColumnElement[bool], ...]:
    row = services.c
    return row.host == level.host, row.binary == COMPUTE, row.epoch == level.epoch, row.up == level.up


def _of(level: HostLevel) -> sa.Update:
    return sa.update(services).where(*_is(level))
