# SPDX-License-Identifier: Apache-2.0
"""Reading services and compute nodes.

The zone of a host is the zone of its aggregates; without one it is the configured zone of the host.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from kilonova.base.errors import NotFound
from kilonova.db.codec import INVENTORIES, SERVICES
from kilonova.db.database_time import database_now
from kilonova.db.schema import aggregate_hosts, aggregates, compute_nodes, services, suspicions
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import HostName
from kilonova.objects.service import ComputeNode, Service

COMPUTE = "kilonova-compute"
"""The binary of hosts, as service lists show it."""
CONDUCTOR = "kilonova-conductor"


class HostProcess(NamedTuple):
    """The current or last process of a host: `epoch` counts them.

    `state_id` and `started_s` come from the process (see host_to_conductor.RegisterHost), None before they were
    reported; `left_at` is the time of an orderly end, None without one.
    """

    epoch: int
    process_id: str
    boot_id: str
    state_id: str | None
    started_s: float | None
    registered_at: datetime | None
    left_at: datetime | None
    up: bool


class HostLevel(NamedTuple):
    """What is recorded of a host's life.  `suspected_at` is when a conductor has recorded that it receives nothing from
    this process of the host, None while all is well; `suspected_by` names the conductor's process."""

    host: HostName
    epoch: int
    up: bool
    suspected_at: datetime | None = None
    suspected_by: str | None = None


# Built once: building a statement costs more than running it.
_LEVELS = (
    sa.select(services.c.host, services.c.epoch, services.c.up, suspicions.c.at, suspicions.c.holder)
    .select_from(
        services.outerjoin(
            suspicions, sa.and_(suspicions.c.host == services.c.host, suspicions.c.epoch == services.c.epoch)
        )
    )
    .where(services.c.binary == COMPUTE)
    .order_by(services.c.host)
)
_SERVICES = sa.select(services).order_by(services.c.host, services.c.binary)
_NODES = sa.select(compute_nodes).order_by(compute_nodes.c.host)
_ZONES = sa.select(aggregate_hosts.c.host, aggregates.c.availability_zone).join(aggregates)
_METADATA = sa.select(aggregate_hosts.c.host, aggregates.c.metadata).join(aggregates)


def list_services(snapshot: Snapshot, *, host: str | None = None, binary: str | None = None) -> list[Service]:
    """Services, by host and binary."""
    query = _SERVICES
    if host is not None:
        query = query.where(services.c.host == host)
    if binary is not None:
        query = query.where(services.c.binary == binary)
    zones = _zones(snapshot)
    return [_in_its_zone(SERVICES.load(row), zones) for row in snapshot.execute(query).mappings()]


def _zones(snapshot: Snapshot) -> dict[HostName, str]:
    return {row.host: row.availability_zone for row in snapshot.execute(_ZONES) if row.availability_zone is not None}


def _in_its_zone(service: Service, zones: dict[HostName, str]) -> Service:
    return replace(service, zone=zones.get(service.host, service.zone))


def services_at(snapshot: Snapshot, now: datetime) -> list[Service]:
    """All services, by host and binary: an API process or a conductor whose report has expired is not up."""
    at = database_now(snapshot, now)
    found = list_services(snapshot)
    return [replace(one, up=one.expires_at > at) if one.expires_at is not None else one for one in found]


def levels(snapshot: Snapshot) -> list[HostLevel]:
    """The levels of all hosts, by host."""
    return [HostLevel(*row) for row in snapshot.execute(_LEVELS)]


_OTHERS = sa.select(sa.func.count()).where(
    services.c.binary == CONDUCTOR,
    services.c.process_id != sa.bindparam("own"),
    services.c.expires_at > sa.bindparam("now"),
)


def other_conductors(snapshot: Snapshot, process_id: str, now: datetime) -> int:
    """How many conductors besides this process are up."""
    return snapshot.execute(_OTHERS, {"own": process_id, "now": database_now(snapshot, now)}).scalar_one()


def zones(snapshot: Snapshot) -> frozenset[str]:
    """Availability zones with at least one host."""
    return frozenset(service.zone for service in list_services(snapshot, binary=COMPUTE))


def get_service(snapshot: Snapshot, service_id: str) -> Service:
    """One service.  Raises NotFound."""
    row = snapshot.execute(sa.select(services).where(services.c.id == service_id)).mappings().first()
    if row is None:
        raise NotFound(f"Service {service_id} could not be found.")
    return _in_its_zone(SERVICES.load(row), _zones(snapshot))


_PROCESS = sa.select(*(services.c[name] for name in HostProcess._fields)).where(
    services.c.host == sa.bindparam("of_host"), services.c.binary == COMPUTE
)


def process_of(snapshot: Snapshot, host: HostName) -> HostProcess | None:
    """The process of a host's service; None for an unknown host."""
    row = snapshot.execute(_PROCESS, {"of_host": host}).first()
    return None if row is None else HostProcess(*row)


_STATE = sa.select(services.c.up, services.c.forced_down).where(
    services.c.host == sa.bindparam("of_host"), services.c.binary == COMPUTE
)


def is_up(snapshot: Snapshot, host: HostName) -> bool:
    """Whether a host is alive, and is not forced down."""
    row = snapshot.execute(_STATE, {"of_host": host}).first()
    return row is not None and row.up and not row.forced_down


def is_forced_down(snapshot: Snapshot, host: HostName) -> bool:
    """Whether an operator has forced a host down."""
    row = snapshot.execute(_STATE, {"of_host": host}).first()
    return row is not None and row.forced_down


def host_of_node(snapshot: Snapshot, node_id: str) -> HostName | None:
    """The host that has reported under this node id."""
    query = sa.select(compute_nodes.c.host).where(compute_nodes.c.node_id == node_id)
    return snapshot.execute(query).scalar()


def list_nodes(snapshot: Snapshot) -> list[ComputeNode]:
    """Every compute node with its service, by host."""
    by_host = {service.host: service for service in list_services(snapshot, binary=COMPUTE)}
    metadata = _aggregate_metadata(snapshot)
    found = snapshot.execute(_NODES).mappings()
    return [_node(row, by_host[row["host"]], metadata[row["host"]]) for row in found if row["host"] in by_host]


def _node(row: sa.RowMapping, service: Service, metadata: Mapping[str, frozenset[str]]) -> ComputeNode:
    return ComputeNode(
        id=row["node_id"],
        service=service,
        inventory=INVENTORIES.load(row),
        vcpus_used=row["vcpus_used"],
        memory_mib_used=row["memory_mib_used"],
        disk_gib_used=row["disk_gib_used"],
        running_vms=row["instances"],
        aggregate_metadata=metadata,
    )


def destination(snapshot: Snapshot, host: str | None, node: str | None) -> HostName:
    """The host with that name, that hypervisor name, or both.  Raises NotFound."""
    for found in list_nodes(snapshot):
        if host in (None, found.service.host) and node in (None, found.inventory.node):
            return found.service.host
    raise NotFound(f"Compute host {' with the node '.join(name for name in (host, node) if name)} could not be found.")


def _aggregate_metadata(snapshot: Snapshot) -> defaultdict[HostName, dict[str, frozenset[str]]]:
    """The metadata of each host's aggregates; a value may be a list with commas."""
    found: defaultdict[HostName, dict[str, frozenset[str]]] = defaultdict(dict)
    for row in snapshot.execute(_METADATA):
        values = found[row.host]
        for key, text in row.metadata.items():
            values[key] = values.get(key, frozenset()) | {word.strip() for word in text.split(",")}
    return found
