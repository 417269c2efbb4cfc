# SPDX-License-Identifier: Apache-2.0
"""Reading everything that servers hold, and what is recorded of it: quotas, claims, addresses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from kilonova.db.codec import INSTANCES
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.schema import actions, addresses, instances, quota_usages
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.quota import Usage
from kilonova.objects.service import ComputeNode

_OPEN = actions.c.state == sa.literal_column("'open'")


@dataclass(frozen=True, slots=True)
class Assigned:
    """One row of the reserved addresses: see writers.instances.Reservation."""

    host: HostName
    network: str
    value: int
    instance_id: InstanceId


@dataclass(frozen=True, slots=True)
class Holdings:
    """`living` servers, and those that are `leaving`: deleted, while a host must still remove the guest.  `busy` have
    an open action.  `registered` are all hosts with a service, `nodes` those that have reported what they have."""

    living: Sequence[Instance]
    leaving: Sequence[Instance]
    busy: frozenset[InstanceId]
    registered: frozenset[HostName]
    nodes: Sequence[ComputeNode]
    usages: Mapping[str, Usage]
    addresses: Sequence[Assigned]


def holdings(snapshot: Snapshot) -> Holdings:
    """All of it, in one snapshot.  The cost grows with the servers of the fleet."""
    busy = frozenset(snapshot.execute(sa.select(actions.c.instance_id).where(_OPEN)).scalars())
    living = INSTANCES.load_all(snapshot.execute(sa.select(instances).where(instances.c.deleted_at.is_(None))))
    of_open = sa.select(actions.c.instance_id).where(_OPEN)
    gone = sa.select(instances).where(instances.c.deleted_at.is_not(None), instances.c.id.in_(of_open))
    usages = snapshot.execute(sa.select(quota_usages))
    assigned = snapshot.execute(sa.select(addresses).order_by(addresses.c.network, addresses.c.value))
    services = read_hosts.list_services(snapshot, binary=read_hosts.COMPUTE)
    return Holdings(
        living=living,
        leaving=INSTANCES.load_all(snapshot.execute(gone)),
        busy=busy,
        registered=frozenset(service.host for service in services),
        nodes=read_hosts.list_nodes(snapshot),
        usages={row.project_id: Usage(row.instances, row.cores, row.ram) for row in usages},
        addresses=[Assigned(row.host, row.network, row.value, row.instance_id) for row in assigned],
    )


@dataclass(frozen=True, slots=True)
class HostRecords:
    """The servers of a host, and those of them that have an open action."""

    servers: Mapping[InstanceId, Instance]
    busy: frozenset[InstanceId]


def of_host(snapshot: Snapshot, host: HostName) -> HostRecords:
    """What is recorded of one host."""
    query = sa.select(instances).where(instances.c.host == host, instances.c.deleted_at.is_(None))
    servers = {one.id: one for one in INSTANCES.load_all(snapshot.execute(query))}
    busy = sa.select(actions.c.instance_id).where(_OPEN, actions.c.instance_id.in_(sa.select(query.subquery().c.id)))
    return HostRecords(servers, frozenset(snapshot.execute(busy).scalars()))
