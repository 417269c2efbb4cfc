# SPDX-License-Identifier: Apache-2.0
"""Networks and ports, derived from hosts' inventories and servers' addresses."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from kilonova.db.readers import hosts, instances, servers
from kilonova.db.readers.servers import ServerQuery
from kilonova.db.transaction import Snapshot
from kilonova.networks.ids import network_id, port_id
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Address, Instance
from kilonova.objects.service import ComputeNode, HostNetwork


@dataclass(slots=True)
class Network:
    """A network on all hosts that offer it; networks of the same name are one network.

    `parts` has each subnet once, by its CIDR, `pools` the ranges of addresses that hosts assign in it. `per_host`:
    each of several hosts has its own network of this name, behind NAT: their guests do not reach each other by it,
    and may have the same addresses. `default`: at least one host attaches guests to it that request no network.
    """

    id: str
    name: str
    parts: dict[str, HostNetwork] = field(default_factory=dict[str, HostNetwork])
    pools: dict[str, set[tuple[str, str]]] = field(default_factory=dict[str, set[tuple[str, str]]])
    private_hosts: int = 0
    zones: set[str] = field(default_factory=set[str])
    default: bool = False

    @property
    def per_host(self) -> bool:
        return self.private_hosts > 1


@dataclass(frozen=True, slots=True)
class Port:
    """A guest's NIC."""

    id: str
    instance: Instance
    address: Address


def networks_of(nodes: Iterable[ComputeNode]) -> list[Network]:
    """The networks of these hosts, sorted by name."""
    found: dict[str, Network] = {}
    for node in nodes:
        for index, offered in enumerate(node.inventory.networks):
            network = found.setdefault(offered.name, Network(network_id(offered.name), offered.name))
            network.parts.setdefault(offered.cidr, offered)
            network.pools.setdefault(offered.cidr, set()).add((offered.first, offered.last))
            network.private_hosts += not offered.shared
            network.zones.add(node.service.zone)
            network.default = network.default or index == 0
    return sorted(found.values(), key=lambda network: network.name)


def networks(snapshot: Snapshot) -> list[Network]:
    """The networks of all hosts."""
    return networks_of(hosts.list_nodes(snapshot))


def ports_of(instance: Instance) -> list[Port]:
    """The NICs of a server, in their order."""
    return [Port(port_id(instance.id, index), instance, address) for index, address in enumerate(instance.addresses)]


def ports(snapshot: Snapshot, project_id: str | None, device_ids: frozenset[str] | None) -> list[Port]:
    """The NICs of a project's servers, or of all servers with None; `device_ids` selects servers."""
    if device_ids is not None:
        known = instances.get_all_known(snapshot, [InstanceId(device) for device in sorted(device_ids)])
        found = [one for one, deleted in known if not deleted and project_id in (None, one.project_id)]
        return [port for instance in found for port in ports_of(instance)]
    result: list[Port] = []
    marker: str | None = None
    while page := servers.page(snapshot, ServerQuery(project_id=project_id, marker=marker)):
        result += [port for instance in page for port in ports_of(instance)]
        marker = page[-1].id
    return result
