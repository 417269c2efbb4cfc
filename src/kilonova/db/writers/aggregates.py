# SPDX-License-Identifier: Apache-2.0
"""Writing host aggregates."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kilonova.db.schema import aggregate_hosts, aggregates, instances
from kilonova.objects.ids import HostName


def insert(connection: sa.Connection, *, uuid: str, name: str, zone: str | None, now: datetime) -> None:
    """A new one, without hosts."""
    values = {"uuid": uuid, "name": name, "availability_zone": zone, "metadata": {}, "created_at": now}
    connection.execute(sa.insert(aggregates).values(**values))


def update(connection: sa.Connection, aggregate_id: int, now: datetime, **values: Any) -> None:
    """Change columns."""
    connection.execute(sa.update(aggregates).where(aggregates.c.id == aggregate_id).values(updated_at=now, **values))


def delete(connection: sa.Connection, aggregate_id: int) -> None:
    """Forget one that has no hosts."""
    connection.execute(sa.delete(aggregates).where(aggregates.c.id == aggregate_id))


def add_host(connection: sa.Connection, aggregate_id: int, host: HostName) -> None:
    """The host must not be in it yet."""
    connection.execute(sa.insert(aggregate_hosts).values(aggregate_id=aggregate_id, host=host))


def remove_host(connection: sa.Connection, host: HostName, aggregate_id: int | None = None) -> None:
    """From one aggregate, or from all."""
    gone = sa.delete(aggregate_hosts).where(aggregate_hosts.c.host == host)
    if aggregate_id is not None:
        gone = gone.where(aggregate_hosts.c.aggregate_id == aggregate_id)
    connection.execute(gone)


def move_instances(connection: sa.Connection, host: HostName, zone: str) -> None:
    """The host's instances are in that zone now."""
    here = sa.and_(instances.c.host == host, instances.c.deleted_at.is_(None))
    connection.execute(sa.update(instances).where(here).values(availability_zone=zone))
