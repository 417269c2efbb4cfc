# SPDX-License-Identifier: Apache-2.0
"""Aggregates and availability zones.  Each function is one transaction.

A host is in one zone: all of its aggregates that name a zone name the same.  A zone is not taken from under servers by
giving it another name; a host that changes its zone by joining or leaving takes its servers along.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from kilonova.base.errors import Conflict, InvalidInput, NotFound
from kilonova.db.readers import aggregates as read_aggregates
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers.hosts import COMPUTE
from kilonova.db.writers import aggregates as write_aggregates
from kilonova.objects.aggregate import ZONE, Aggregate
from kilonova.objects.ids import HostName
from kilonova.rpcapi.operators import AggregateHost, CreateAggregate, DeleteAggregate, UpdateAggregate


def create(connection: sa.Connection, request: CreateAggregate, now: datetime) -> None:
    """Raises Conflict.  A repeat changes nothing."""
    if read_aggregates.by_uuid(connection, request.uuid) is not None:
        return
    _check_name(connection, request.name)
    zone = request.availability_zone
    write_aggregates.insert(connection, uuid=request.uuid, name=request.name, zone=zone, now=now)


def _check_name(connection: sa.Connection, name: str) -> None:
    if read_aggregates.by_name(connection, name) is not None:
        raise Conflict(f"Aggregate {name} already exists.")


def update(connection: sa.Connection, request: UpdateAggregate, now: datetime) -> None:
    """Raises NotFound, Conflict, InvalidInput."""
    aggregate = read_aggregates.get_aggregate(connection, request.aggregate_id)
    name = aggregate.name if request.name is None else request.name
    if name != aggregate.name:
        _check_name(connection, name)
    put = dict(request.put)
    zone = put.pop(ZONE, None if ZONE in request.remove else aggregate.availability_zone)
    if zone != aggregate.availability_zone:
        _check_zone(connection, aggregate, zone)
    kept = {key: text for key, text in aggregate.metadata.items() if key not in request.remove}
    values = {"name": name, "availability_zone": zone, "metadata": {**kept, **put}}
    write_aggregates.update(connection, aggregate.id, now, **values)


def _check_zone(connection: sa.Connection, aggregate: Aggregate, zone: str | None) -> None:
    other = _other_zones(connection, aggregate.id, aggregate.hosts, zone)
    if other:
        why = f"One or more hosts already in availability zone(s) {other}"
    elif any(read_instances.powers_of_host(connection, host) for host in aggregate.hosts):
        why = "One or more hosts contain instances in this zone"
    else:
        return
    raise InvalidInput(f"Cannot update aggregate {aggregate.id}. Reason: {why}.", path=ZONE)


def _other_zones(
    connection: sa.Connection, aggregate_id: int, hosts: Sequence[HostName], zone: str | None
) -> list[str]:
    """The zones that other aggregates put these hosts into, besides this one."""
    if zone is None:
        return []
    found = {
        other.availability_zone
        for other in read_aggregates.list_aggregates(connection)
        if other.id != aggregate_id and frozenset(hosts) & frozenset(other.hosts)
    }
    return sorted(name for name in found if name not in (None, zone))


def delete(connection: sa.Connection, request: DeleteAggregate) -> None:
    """Raises InvalidInput while it has hosts.  A repeat changes nothing."""
    try:
        aggregate = read_aggregates.get_aggregate(connection, request.aggregate_id)
    except NotFound:
        return
    if aggregate.hosts:
        raise InvalidInput(f"Cannot remove aggregate {aggregate.id}. Reason: Host aggregate is not empty.")
    write_aggregates.delete(connection, aggregate.id)


def set_host(connection: sa.Connection, request: AggregateHost) -> None:
    """Raises NotFound, Conflict.  A repeat changes nothing."""
    aggregate, host = read_aggregates.get_aggregate(connection, request.aggregate_id), request.host
    if request.member == (host in aggregate.hosts):
        return
    if request.member:
        _zone_of(connection, host)
        other = _other_zones(connection, aggregate.id, (host,), aggregate.availability_zone)
        if other:
            raise Conflict(
                f"Cannot add host to aggregate {aggregate.id}. Reason: "
                f"One or more hosts already in availability zone(s) {other}."
            )
        write_aggregates.add_host(connection, aggregate.id, host)
    else:
        write_aggregates.remove_host(connection, host, aggregate.id)
    write_aggregates.move_instances(connection, host, _zone_of(connection, host))


def _zone_of(connection: sa.Connection, host: HostName) -> str:
    for service in read_hosts.list_services(connection, host=host, binary=COMPUTE):
        return service.zone
    raise NotFound(f"Compute host {host} could not be found.", host=host)
