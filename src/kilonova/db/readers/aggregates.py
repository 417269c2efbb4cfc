# SPDX-License-Identifier: Apache-2.0
"""Reading host aggregates."""

from collections import defaultdict
from collections.abc import Iterable

import sqlalchemy as sa

from kilonova.base.errors import NotFound
from kilonova.db.schema import aggregate_hosts, aggregates
from kilonova.db.transaction import Snapshot
from kilonova.objects.aggregate import Aggregate
from kilonova.objects.ids import HostName


def list_aggregates(snapshot: Snapshot) -> list[Aggregate]:
    """All aggregates, by id."""
    hosts: dict[int, list[HostName]] = defaultdict(list)
    for row in snapshot.execute(sa.select(aggregate_hosts)):
        hosts[row.aggregate_id].append(row.host)
    found = snapshot.execute(sa.select(aggregates).order_by(aggregates.c.id)).mappings()
    return [_aggregate(row, hosts[row["id"]]) for row in found]


def get_aggregate(snapshot: Snapshot, aggregate_id: int) -> Aggregate:
    """An aggregate.  Raises NotFound."""
    found = _one(snapshot, aggregates.c.id == aggregate_id)
    if found is None:
        raise NotFound(f"Aggregate {aggregate_id} could not be found.", aggregate_id=aggregate_id)
    return found


def by_name(snapshot: Snapshot, name: str) -> Aggregate | None:
    """The aggregate with this name."""
    return _one(snapshot, aggregates.c.name == name)


def by_uuid(snapshot: Snapshot, uuid: str) -> Aggregate | None:
    """The aggregate with this UUID."""
    return _one(snapshot, aggregates.c.uuid == uuid)


def _one(snapshot: Snapshot, condition: sa.ColumnElement[bool]) -> Aggregate | None:
    row = snapshot.execute(sa.select(aggregates).where(condition)).mappings().first()
    if row is None:
        return None
    of_it = sa.select(aggregate_hosts.c.host).where(aggregate_hosts.c.aggregate_id == row["id"])
    return _aggregate(row, snapshot.execute(of_it).scalars())


def _aggregate(row: sa.RowMapping, hosts: Iterable[HostName]) -> Aggregate:
    return Aggregate(**row, hosts=tuple(sorted(hosts)))
