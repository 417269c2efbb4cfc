# SPDX-License-Identifier: Apache-2.0
"""Aggregates and availability zones.  Each function is one transaction.

A host is in one zone: all of its aggregates with a zone have the same zone.  The zone of an aggregate cannot change
while servers are in it.  A host that joins or leaves an aggregate can change its zone; its servers then change theirs.
"""

from collections.abc import Sequence
from datetime import datetime

from kilonova.base.errors import Conflict, InvalidInput, NotFound
from kilonova.base.unset import UNSET
from kilonova.db.readers import aggregates as read_aggregates
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers.hosts import COMPUTE
from kilonova.db.transaction import Transaction
from kilonova.db.writers import aggregates as write_aggregates
from kilonova.objects.aggregate import ZONE, Aggregate
from kilonova.objects.ids import HostName
from kilonova.rpcapi.api_to_conductor_admin import AggregateHost, CreateAggregate, DeleteAggregate, UpdateAggregate


def create(tx: Transaction, request: CreateAggregate, now: datetime) -> None:
    """Raises Conflict.  A repeat changes nothing."""
    if read_aggregates.by_uuid(tx, request.uuid) is not None:
        return
    _check_name(tx, request.name)
    zone = request.availability_zone
    write_aggregates.insert(tx, uuid=request.uuid, name=request.name, zone=zone, now=now)


def _check_name(tx: Transaction, name: str) -> None:
    if read_aggregates.by_name(tx, name) is not None:
        raise Conflict(f"Aggregate {name} already exists.")


def update(tx: Transaction, request: UpdateAggregate, now: datetime) -> None:
    """Raises NotFound, Conflict, InvalidInput."""
    aggregate = read_aggregates.get_aggregate(tx, request.aggregate_id)
    name = aggregate.name if request.name is UNSET else request.name
    if name != aggregate.name:
        _check_name(tx, name)
    put = dict(request.put)
    zone = put.pop(ZONE, None if ZONE in request.remove else aggregate.availability_zone)
    if zone != aggregate.availability_zone:
        _check_zone(tx, aggregate, zone)
    kept = {key: text for key, text in aggregate.metadata.items() if key not in request.remove}
    values = {"name": name, "availability_zone": zone, "metadata": {**kept, **put}}
    write_aggregates.update(tx, aggregate.id, now, **values)


def _check_zone(tx: Transaction, aggregate: Aggregate, zone: str | None) -> None:
    other = _other_zones(tx, aggregate.id, aggregate.hosts, zone)
    if other:
        why = f"One or more hosts already in availability zone(s) {other}"
    elif any(read_instances.powers_of_host(tx, host) for host in aggregate.hosts):
        why = "One or more hosts contain instances in this zone"
    else:
        return
    raise InvalidInput(f"Cannot update aggregate {aggregate.id}. Reason: {why}.", path=ZONE)


def _other_zones(tx: Transaction, aggregate_id: int, hosts: Sequence[HostName], zone: str | None) -> list[str]:
    """The zones that other aggregates put these hosts into, besides this one."""
    if zone is None:
        return []
    found = {
        other.availability_zone
        for other in read_aggregates.list_aggregates(tx)
        if other.id != aggregate_id and frozenset(hosts) & frozenset(other.hosts)
    }
    return sorted(name for name in found if name not in (None, zone))


def delete(tx: Transaction, request: DeleteAggregate) -> None:
    """Raises InvalidInput while it has hosts.  A repeat changes nothing."""
    try:
        aggregate = read_aggregates.get_aggregate(tx, request.aggregate_id)
    except NotFound:
        return
    if aggregate.hosts:
        raise InvalidInput(f"Cannot remove aggregate {aggregate.id}. Reason: Host aggregate is not empty.")
    write_aggregates.delete(tx, aggregate.id)


def set_host(tx: Transaction, request: AggregateHost) -> None:
    """Raises NotFound, Conflict.  A repeat changes nothing."""
    aggregate, host = read_aggregates.get_aggregate(tx, request.aggregate_id), request.host
    if request.member == (host in aggregate.hosts):
        return
    if request.member:
        _zone_of(tx, host)
        other = _other_zones(tx, aggregate.id, (host,), aggregate.availability_zone)
        if other:
            raise Conflict(
                f"Cannot add host to aggregate {aggregate.id}. Reason: "
                f"One or more hosts already in availability zone(s) {other}."
            )
        write_aggregates.add_host(tx, aggregate.id, host)
    else:
        write_aggregates.remove_host(tx, host, aggregate.id)
    write_aggregates.move_instances(tx, host, _zone_of(tx, host))


def _zone_of(tx: Transaction, host: HostName) -> str:
    for service in read_hosts.list_services(tx, host=host, binary=COMPUTE):
        return service.zone
    raise NotFound(f"Compute host {host} could not be found.", host=host)
