# SPDX-License-Identifier: Apache-2.0
"""Reading services and compute nodes.

The zone of a host is the zone of its aggregates; without one it is the configured zone of the host.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from kilonova.base.errors import NotFound
from kilonova.db.codec import INVENTORIES, SERVICES
from kilonova.db.database_time import database_now
from kilonova.db.schema import actions, aggregate_hosts, aggregates, compute_nodes, services, suspicions
from kilonova.db.transaction import Snapshot, single_statement
from kilonova.objects.ids import HostName
from kilonova.objects.service import ComputeNode, Inventory, Service
from kilonova.objects.states import VERBS

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
    forced_down: bool = False


class HostLevel(NamedTuple):
    """What is recorded of a host's life.  `suspected_at` is when a conductor has recorded that it receives nothing from
    this process of the host, None while all is well; `suspected_by` names the conductor's process."""

    host: HostName
    epoch: int
    up: bool
    suspected_at: datetime | None = None
    suspected_by: str | None = None


# Built once: building a statement costs more than running it.
_OF_ID = sa.select(services).where(services.c.id == sa.bindparam("of_id"))
_OF_NODE = sa.select(compute_nodes.c.host).where(compute_nodes.c.node_id == sa.bindparam("of_node"))
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
_SERVICE_COLUMNS = tuple(field.name for field in fields(Service))
_WIDTH = len(_SERVICE_COLUMNS)
_HOST = _SERVICE_COLUMNS.index("host")
_SERVICES = sa.select(*(services.c[name] for name in _SERVICE_COLUMNS)).order_by(services.c.host, services.c.binary)
_WITH_HOST = services.c.host == sa.bindparam("of_host")
_WITH_BINARY = services.c.binary == sa.bindparam("of_binary")
_SERVICES_WITH: Mapping[tuple[str, ...], sa.Select[*tuple[Any, ...]]] = {
    (): _SERVICES,
    ("of_host",): _SERVICES.where(_WITH_HOST),
    ("of_binary",): _SERVICES.where(_WITH_BINARY),
    ("of_host", "of_binary"): _SERVICES.where(_WITH_HOST, _WITH_BINARY),
}
_CLAIMS = ("vcpus_used", "memory_mib_used", "disk_gib_used", "instances", "failed_builds", "build_failed_at")
NODE_COLUMNS = (*_SERVICE_COLUMNS, "inventory_digest", "node_id", *_CLAIMS)
"""The columns of NODES."""
NODES = (
    sa.select(
        *(services.c[name] for name in _SERVICE_COLUMNS),
        *(compute_nodes.c[name] for name in ("inventory_digest", "node_id", *_CLAIMS)),
    )
    .join(services, sa.and_(services.c.host == compute_nodes.c.host, services.c.binary == COMPUTE))
    .order_by(compute_nodes.c.host)
)
_NOTHING: Mapping[str, frozenset[str]] = {}
_ZONES = sa.select(aggregate_hosts.c.host, aggregates.c.availability_zone).join(aggregates)
_AGGREGATES = sa.select(aggregate_hosts.c.host, aggregates.c.availability_zone, aggregates.c.metadata).join(aggregates)
_AGGREGATES_OF = _AGGREGATES.where(aggregate_hosts.c.host.in_(sa.bindparam("hosts", expanding=True)))


def list_services(snapshot: Snapshot, *, host: str | None = None, binary: str | None = None) -> list[Service]:
    """Services, by host and binary."""
    wanted = {name: value for name, value in (("of_host", host), ("of_binary", binary)) if value is not None}
    zones = _zones(snapshot)
    rows = snapshot.execute(_SERVICES_WITH[tuple(wanted)], wanted)
    return [_in_its_zone(service, zones) for service in _services([tuple(row) for row in rows])]


_SEEN: dict[tuple[Any, ...], Service] = {}
_MOST_SEEN = 20_000


def _services(rows: Sequence[tuple[Any, ...]]) -> list[Service]:
    """The services of these rows.  Rows that did not change since they were read last are not decoded again."""
    found: list[Service] = []
    for values in rows:
        service = _SEEN.get(values)
        if service is None:
            if len(_SEEN) >= _MOST_SEEN:
                _SEEN.clear()
            service = _SEEN[values] = SERVICES.load(dict(zip(_SERVICE_COLUMNS, values, strict=True)))
        found.append(service)
    return found


def _zones(snapshot: Snapshot) -> dict[HostName, str]:
    return {row.host: row.availability_zone for row in snapshot.execute(_ZONES) if row.availability_zone is not None}


def _in_its_zone(service: Service, zones: dict[HostName, str]) -> Service:
    zone = zones.get(service.host, service.zone)
    return service if zone == service.zone else replace(service, zone=zone)


def services_at(snapshot: Snapshot, now: datetime) -> list[Service]:
    """All services, by host and binary: an API process or a conductor whose report has expired is not up."""
    at = database_now(snapshot, now)
    found = list_services(snapshot)
    return [replace(one, up=one.expires_at > at) if one.expires_at is not None else one for one in found]


@single_statement
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


_LOWEST = sa.select(sa.func.min(services.c.version)).where(
    services.c.binary == CONDUCTOR, services.c.expires_at > sa.bindparam("now", type_=services.c.expires_at.type)
)


def lowest_conductor(snapshot: Snapshot, now: datetime) -> int | None:
    """The lowest code version of the conductors that are up at this time of the database's clock."""
    return snapshot.execute(_LOWEST, {"now": now}).scalar()


def zones(snapshot: Snapshot) -> frozenset[str]:
    """Availability zones with at least one host."""
    return frozenset(service.zone for service in list_services(snapshot, binary=COMPUTE))


def get_service(snapshot: Snapshot, service_id: str) -> Service:
    """One service.  Raises NotFound."""
    row = snapshot.execute(_OF_ID, {"of_id": service_id}).mappings().first()
    if row is None:
        raise NotFound(f"Service {service_id} could not be found.")
    return _in_its_zone(SERVICES.load(row), _zones(snapshot))


_PROCESS = sa.select(*(services.c[name] for name in HostProcess._fields)).where(
    services.c.host == sa.bindparam("of_host"), services.c.binary == COMPUTE
)


@single_statement
def process_of(snapshot: Snapshot, host: HostName) -> HostProcess | None:
    """The process of a host's service; None for an unknown host."""
    row = snapshot.execute(_PROCESS, {"of_host": host}).first()
    return None if row is None else HostProcess(*row)


_VERSION = sa.select(services.c.version).where(services.c.host == sa.bindparam("of_host"), services.c.binary == COMPUTE)


def version_of(snapshot: Snapshot, host: HostName) -> int | None:
    """The code version of a host; None for an unknown host."""
    return snapshot.execute(_VERSION, {"of_host": host}).scalar()


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


def is_another_in_service(snapshot: Snapshot, hosts: Collection[HostName]) -> bool:
    """Whether a host other than these is up and enabled."""
    query = sa.select(services.c.id).where(
        services.c.binary == COMPUTE,
        services.c.up,
        ~services.c.disabled,
        ~services.c.forced_down,
        services.c.host.not_in(hosts),
    )
    return snapshot.execute(query.limit(1)).first() is not None


def host_of_node(snapshot: Snapshot, node_id: str) -> HostName | None:
    """The host that has reported under this node id."""
    return snapshot.execute(_OF_NODE, {"of_node": node_id}).scalar()


def inventory_of(snapshot: Snapshot, host: HostName) -> Inventory | None:
    """The recorded inventory of a host."""
    return INVENTORIES.load_first(snapshot.execute(sa.select(compute_nodes).where(compute_nodes.c.host == host)))


def list_nodes(snapshot: Snapshot) -> list[ComputeNode]:
    """Every compute node with its service, by host."""
    return nodes_of(snapshot, _rows(snapshot), None, {})


FAILURES_COUNT = timedelta(hours=1)
"""The failed builds of a host count for so long after the last of them."""

_IO_VERBS = tuple(verb for verb, rule in VERBS.items() if rule.uses_disks)
_IO_OPS = (
    sa.select(actions.c.host, sa.func.count())
    .where(
        actions.c.state == sa.literal_column("'open'"),
        actions.c.host.is_not(None),
        actions.c.verb.in_(_IO_VERBS),
    )
    .group_by(actions.c.host)
)


def nodes_to_place(snapshot: Snapshot, now: datetime) -> list[ComputeNode]:
    """Every compute node, as the scheduler needs it: also with the failed builds of the last time, and with the work in
    progress."""
    return nodes_of(snapshot, _rows(snapshot), now - FAILURES_COUNT, io_ops(snapshot))


def io_ops(snapshot: Snapshot) -> dict[HostName, int]:
    """How many open actions work with disks on each host that has any."""
    return {row[0]: row[1] for row in snapshot.execute(_IO_OPS)}


def _rows(snapshot: Snapshot) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in snapshot.execute(NODES).all()]


def nodes_of(
    snapshot: Snapshot,
    rows: Sequence[tuple[Any, ...]],
    failed_since: datetime | None,
    working: Mapping[HostName, int],
    *,
    only_these: bool = False,
) -> list[ComputeNode]:
    """The nodes of these rows (NODE_COLUMNS).  Without `failed_since` no failed build counts.  `only_these`: there are
    other hosts."""
    zones, metadata = _aggregates(snapshot, [row[_HOST] for row in rows] if only_these else None)
    known = [_in_its_zone(service, zones) for service in _services([row[:_WIDTH] for row in rows])]
    inventories = _DECODED.of(snapshot, [(one.host, row[_WIDTH]) for one, row in zip(known, rows, strict=True)])
    # Tuples and not attributes of rows: with a thousand hosts, that is a third of the time.
    return [
        ComputeNode(
            *(node_id, service, inventories[service.host], vcpus, memory_mib, disk_gib, count),
            metadata.get(service.host, _NOTHING),
            failed if failed and failed_since is not None and failed_at >= failed_since else 0,
            working.get(service.host, 0),
        )
        for service, row in zip(known, rows, strict=True)
        for node_id, vcpus, memory_mib, disk_gib, count, failed, failed_at in (row[_WIDTH + 1 :],)
    ]


class _Decoded:
    """Decoded inventories by their digests.  To read and decode those of many hosts costs more than the rest of a
    placement; an inventory of the same digest is the same."""

    def __init__(self) -> None:
        self._known: dict[str, Inventory] = {}

    def of(self, snapshot: Snapshot, wanted: Sequence[tuple[HostName, str]]) -> dict[HostName, Inventory]:
        """The inventories of these hosts, which have these digests."""
        known = self._known
        found = {host: known[digest] for host, digest in wanted if digest in known}
        missing = [host for host, _ in wanted if host not in found]
        for start in range(0, len(missing), _AT_A_TIME):
            query = _INVENTORIES.where(compute_nodes.c.host.in_(missing[start : start + _AT_A_TIME]))
            for row in snapshot.execute(query).mappings():
                found[row["host"]] = INVENTORIES.load(row)
        if missing:
            decoded = {digest: found[host] for host, digest in wanted if digest}
            self._known = {**known, **decoded} if len(known) < _MOST_KNOWN else decoded
        return found


_AT_A_TIME = 500
_MOST_KNOWN = 10_000
_INVENTORIES = sa.select(compute_nodes.c.host, compute_nodes.c.inventory)
_DECODED = _Decoded()


def destination(snapshot: Snapshot, host: str | None, node: str | None) -> HostName:
    """The host with that name, that hypervisor name, or both.  Raises NotFound."""
    for found in list_nodes(snapshot):
        if host in (None, found.service.host) and node in (None, found.inventory.node):
            return found.service.host
    raise NotFound(f"Compute host {' with the node '.join(name for name in (host, node) if name)} could not be found.")


def _aggregates(
    snapshot: Snapshot, hosts: Sequence[str] | None
) -> tuple[dict[HostName, str], dict[HostName, dict[str, frozenset[str]]]]:
    """The zones of these hosts (None: of all) that aggregates give them, and the metadata of each host's aggregates; a
    value may be a list with commas."""
    zones: dict[HostName, str] = {}
    metadata: dict[HostName, dict[str, frozenset[str]]] = defaultdict(dict)
    found = snapshot.execute(_AGGREGATES) if hosts is None else snapshot.execute(_AGGREGATES_OF, {"hosts": hosts})
    for host, zone, texts in found:
        if zone is not None:
            zones[host] = zone
        for key, text in texts.items():
            values = metadata[host]
            values[key] = values.get(key, frozenset()) | {word.strip() for word in text.split(",")}
    return zones, metadata
