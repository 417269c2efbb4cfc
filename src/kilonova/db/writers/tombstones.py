# SPDX-License-Identifier: Apache-2.0
"""Writing which hosts an operator has given up, and what was on them."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from kilonova.db.dialect import Upsert
from kilonova.db.readers.instances import AT_A_TIME
from kilonova.db.schema import forgotten_hosts, tombstones
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import HostName, InstanceId

_FORGET = Upsert(forgotten_hosts, ("host",), ("epoch", "at"))
_PUT = Upsert(tombstones, ("instance_id", "host"), ("at", "removed_at"))


def forget(tx: Transaction, host: HostName, epoch: int, now: datetime) -> None:
    """Record that a host, whose newest process had that epoch, is given up."""
    tx.execute(_FORGET.on(tx), {"host": host, "epoch": epoch, "at": now})


def put(tx: Transaction, host: HostName, instance_id: InstanceId, now: datetime) -> None:
    """Record that the instance was on the host."""
    tx.execute(_PUT.on(tx), {"instance_id": instance_id, "host": host, "at": now, "removed_at": None})


def note_epoch(tx: Transaction, host: HostName, epoch: int) -> None:
    """The service of a host that was given up is deleted: its next process gets a higher epoch than this one."""
    tx.execute(sa.update(forgotten_hosts).where(forgotten_hosts.c.host == host).values(epoch=epoch))


def removed(tx: Transaction, host: HostName, ids: Sequence[InstanceId], now: datetime) -> None:
    """The host has no copies of these instances."""
    row = tombstones.c
    for start in range(0, len(ids), AT_A_TIME):
        some = ids[start : start + AT_A_TIME]
        here = (row.host == host, row.instance_id.in_(some), row.removed_at.is_(None))
        tx.execute(sa.update(tombstones).where(*here).values(removed_at=now))


def remember(tx: Transaction, host: HostName) -> None:
    """The host is in service again: it is a host as any other."""
    tx.execute(sa.delete(forgotten_hosts).where(forgotten_hosts.c.host == host))
