# SPDX-License-Identifier: Apache-2.0
"""Writing host aggregates."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kilonova.db.schema import aggregate_hosts, aggregates, instances
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import HostName


def insert(tx: Transaction, *, uuid: str, name: str, zone: str | None, now: datetime) -> None:
    """Record a new aggregate without hosts."""
    values = {"uuid": uuid, "name": name, "availability_zone": zone, "metadata": {}, "created_at": now}
    tx.execute(sa.insert(aggregates).values(**values))


def update(tx: Transaction, aggregate_id: int, now: datetime, **values: Any) -> None:
    """Change columns of an aggregate."""
    tx.execute(sa.update(aggregates).where(aggregates.c.id == aggregate_id).values(updated_at=now, **values))


def delete(tx: Transaction, aggregate_id: int) -> None:
    """Delete an aggregate without hosts."""
    tx.execute(sa.delete(aggregates).where(aggregates.c.id == aggregate_id))


def add_host(tx: Transaction, aggregate_id: int, host: HostName) -> None:
    """Add a host, which must not be in the aggregate yet."""
    tx.execute(sa.insert(aggregate_hosts).values(aggregate_id=aggregate_id, host=host))


def remove_host(tx: Transaction, host: HostName, aggregate_id: int | None = None) -> None:
    """Remove a host from one aggregate, or from all."""
    gone = sa.delete(aggregate_hosts).where(aggregate_hosts.c.host == host)
    if aggregate_id is not None:
        gone = gone.where(aggregate_hosts.c.aggregate_id == aggregate_id)
    tx.execute(gone)


def move_instances(tx: Transaction, host: HostName, zone: str) -> None:
    """Record the zone of the host in its instances."""
    here = sa.and_(instances.c.host == host, instances.c.deleted_at.is_(None))
    tx.execute(sa.update(instances).where(here).values(availability_zone=zone))
