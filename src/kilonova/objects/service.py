# SPDX-License-Identifier: Apache-2.0
"""Hosts and the services on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, ip_address
from typing import Any

from kilonova.objects.hardware import Offer
from kilonova.objects.ids import HostName


@dataclass(frozen=True, slots=True)
class HostNetwork:
    """A network that a host offers to guests: `cidr` and range in IPv4 text.

    `bridge` is the host's bridge of a `bridge` network, `physical` the name of the wire behind it: bridges with the
    same one, on any host, are one layer 2 network (empty: the wire has the network's name). `ssh_port` is the port
    for SSH to guests of a `user` network, each on its own loopback address; 0: there is no such port.
    """

    name: str
    backend: str
    cidr: str
    gateway: str
    first: str
    last: str
    dns: tuple[str, ...] = ()
    mtu: int = 1500
    bridge: str = ""
    ssh_port: int = 0
    physical: str = ""

    @property
    def shared(self) -> bool:
        """Whether all hosts with this network are on the same wire, so that an address may be assigned only once on all
        of them."""
        return self.backend == "bridge"

    @property
    def wire(self) -> str:
        """The name under which its addresses are recorded."""
        return self.physical or self.name

    @property
    def bounds(self) -> tuple[int, int]:
        """The first and the last address for guests, as numbers."""
        return int(ip_address(self.first)), int(ip_address(self.last))

    @property
    def subnet(self) -> IPv4Network:
        """The subnet of `cidr`."""
        return IPv4Network(self.cidr)

    @property
    def prefix(self) -> int:
        """The length of the mask."""
        return int(self.cidr.rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class Inventory:
    """The inventory of a host.  `vcpus`, `memory_mib`, `disk_gib` are physical; `*_capacity` is the part that may be
    claimed (with the allocation ratios and reserves of the host's own configuration).  A guest that requests no network
    by name gets the first of `networks`."""

    node: str
    hypervisor_type: str
    hypervisor_version: int
    vcpus: int
    memory_mib: int
    disk_gib: int
    vcpus_capacity: int
    memory_mib_capacity: int
    disk_gib_capacity: int
    host_ip: str = "127.0.0.1"
    arch: str = "x86_64"
    disk_available_gib: int = 0
    disk_short: str = ""
    """The reason why no more disks may be placed here, in a few words; empty while there is space."""
    cpu_info: Mapping[str, Any] = field(default_factory=dict[str, Any])
    networks: tuple[HostNetwork, ...] = ()
    offer: Offer = field(default_factory=Offer)

    def network(self, name: str) -> HostNetwork | None:
        """The network of that name."""
        return next((network for network in self.networks if network.name == name), None)


@dataclass(frozen=True, slots=True)
class Service:
    """A service record.  `up` is the conductors' decision from heartbeats.  `disabled` is set by an operator or, with
    `disabled_by_host`, by the host itself while its hypervisor is unreachable.  `expires_at`: an API process or a
    conductor is up until then, by its own report; None for a host."""

    id: str
    host: HostName
    binary: str
    topic: str
    zone: str
    epoch: int
    up: bool
    disabled: bool
    disabled_reason: str | None
    disabled_by_host: bool
    forced_down: bool
    version: int
    updated_at: datetime
    created_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ComputeNode:
    """A hypervisor: its inventory and the claims on it.  `aggregate_metadata` has the values of each key in the
    metadata of the host's aggregates.  `failed_builds`: how many builds failed here, for a reason of the host, since
    the last success.  `io_ops`: how many open actions work with disks here."""

    id: str
    service: Service
    inventory: Inventory
    vcpus_used: int
    memory_mib_used: int
    disk_gib_used: int
    running_vms: int
    aggregate_metadata: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    failed_builds: int = 0
    io_ops: int = 0
