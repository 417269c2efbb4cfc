# SPDX-License-Identifier: Apache-2.0
"""Networks, subnets, ports and security groups as Network v2.0 shows them.

Source: Networking API reference v2.0.
"""

import ipaddress
from dataclasses import dataclass
from typing import Literal

from typing_extensions import TypedDict

from kilonova.api.http.call import Call
from kilonova.api.http.times import seconds_z
from kilonova.api.http.views import EmptyList, ListOf, Member, View
from kilonova.api.network.inventory import Network, Port
from kilonova.networks.ids import cidr_of, network_id, security_group_id, security_group_rule_id, subnet_id
from kilonova.objects.instance import Address
from kilonova.objects.service import HostNetwork
from kilonova.objects.states import PowerState

NOBODY = ""
"""The project of resources that belong to the service itself."""

DEFAULT_GROUP = "default"
DEFAULT_GROUP_DESCRIPTION = "All traffic passes; a guest can send under its own addresses only"


PER_HOST = "each host has its own; guests of different hosts do not reach each other by it"


def _description(network: Network) -> str:
    texts = {
        "nat": "behind NAT",
        "user": "QEMU's user mode; guests are reached at their floating address",
        "bridge": "on the LAN",
    }
    words = ", ".join(sorted({texts.get(part.backend, part.backend) for part in network.parts.values()}))
    return f"{words}; {PER_HOST}" if network.per_host else words


class AllocationPool(TypedDict):
    """The addresses that guests get, the first and the last included."""

    start: str
    end: str


class FixedIp(TypedDict):
    """An address of a port."""

    subnet_id: str
    ip_address: str


_N = Member[Network, Call]
NETWORK = View(
    "Network",
    _N("id", str, lambda network, _: network.id),
    _N("name", str, lambda network, _: network.name),
    _N("description", str, lambda network, _: _description(network)),
    _N("tenant_id", str, lambda _, __: NOBODY),
    _N("project_id", str, lambda _, __: NOBODY),
    _N("status", str, lambda _, __: "ACTIVE"),
    _N("admin_state_up", bool, lambda _, __: True),
    _N("shared", bool, lambda _, __: True),
    _N("is_default", bool, lambda network, _: network.default),
    _N("router:external", bool, lambda _, __: False),
    _N("port_security_enabled", bool, lambda _, __: True),
    _N("mtu", int, lambda network, _: min(part.mtu for part in network.parts.values())),
    _N("subnets", list[str], lambda network, _: [subnet_id(network.name, cidr) for cidr in network.parts]),
    _N("availability_zones", list[str], lambda network, _: sorted(network.zones)),
    _N("availability_zone_hints", EmptyList, lambda _, __: []),
    _N("tags", EmptyList, lambda _, __: []),
)
"""A network, which all projects share."""


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet of a network: one for each CIDR that hosts use for it."""

    network: Network
    part: HostNetwork


def subnets_of(network: Network) -> list[Subnet]:
    """The subnets of a network."""
    return [Subnet(network, part) for part in network.parts.values()]


_S = Member[Subnet, Call]
SUBNET = View(
    "Subnet",
    _S("id", str, lambda subnet, _: subnet_id(subnet.network.name, subnet.part.cidr)),
    _S("name", str, lambda subnet, _: subnet.network.name),
    _S("description", str, lambda subnet, _: _subnet_description(subnet)),
    _S("network_id", str, lambda subnet, _: subnet.network.id),
    _S("tenant_id", str, lambda _, __: NOBODY),
    _S("project_id", str, lambda _, __: NOBODY),
    _S("ip_version", int, lambda _, __: 4),
    _S("cidr", str, lambda subnet, _: subnet.part.cidr),
    _S("gateway_ip", str | None, lambda subnet, _: subnet.part.gateway or None),
    _S("enable_dhcp", bool, lambda subnet, _: subnet.part.backend != "bridge"),
    _S("allocation_pools", list[AllocationPool], lambda subnet, _: _pools(subnet)),
    _S("dns_nameservers", list[str], lambda subnet, _: list(subnet.part.dns)),
    _S("host_routes", EmptyList, lambda _, __: []),
    _S("ipv6_address_mode", None, lambda _, __: None),
    _S("ipv6_ra_mode", None, lambda _, __: None),
    _S("subnetpool_id", None, lambda _, __: None),
    _S("tags", EmptyList, lambda _, __: []),
)


def _subnet_description(subnet: Subnet) -> str:
    return PER_HOST if subnet.network.per_host and not subnet.part.shared else ""


def _pools(subnet: Subnet) -> list[AllocationPool]:
    pools = subnet.network.pools[subnet.part.cidr]
    return [
        {"start": first, "end": last} for first, last in sorted(pools, key=lambda pool: ipaddress.IPv4Address(pool[0]))
    ]


def _fixed_ips(address: Address) -> list[FixedIp]:
    return [{"subnet_id": subnet_id(address.network, cidr_of(address)), "ip_address": address.address}]


_P = Member[Port, Call]
PORT = View(
    "Port",
    _P("id", str, lambda port, _: port.id),
    _P("name", str, lambda _, __: ""),
    _P("description", str, lambda _, __: ""),
    _P("network_id", str, lambda port, _: network_id(port.address.network)),
    _P("tenant_id", str, lambda port, _: port.instance.project_id),
    _P("project_id", str, lambda port, _: port.instance.project_id),
    _P("device_id", str, lambda port, _: port.instance.id),
    _P("device_owner", str, lambda port, _: f"compute:{port.instance.availability_zone or ''}"),
    _P("mac_address", str, lambda port, _: port.address.mac),
    _P("fixed_ips", list[FixedIp], lambda port, _: _fixed_ips(port.address)),
    _P("status", Literal["ACTIVE", "DOWN"], lambda port, _: port_state(port)),
    _P("admin_state_up", bool, lambda _, __: True),
    _P("security_groups", list[str], lambda port, _: [security_group_id(port.instance.project_id)]),
    _P("port_security_enabled", bool, lambda _, __: True),
    _P("allowed_address_pairs", EmptyList, lambda _, __: []),
    _P("binding:vnic_type", str, lambda _, __: "normal"),
    _P("dns_name", str, lambda port, _: port.instance.hostname),
    _P("created_at", str, lambda port, _: seconds_z(port.instance.created_at)),
    _P("updated_at", str, lambda port, _: seconds_z(port.instance.updated_at)),
    _P("tags", EmptyList, lambda _, __: []),
    _P("binding:host_id", str, lambda port, _: port.instance.host or "", admin=True),
)
"""A server's NIC."""


def port_state(found: Port) -> str:
    """A NIC is ACTIVE while its guest runs or is paused."""
    return "ACTIVE" if found.instance.power_state in (PowerState.RUNNING, PowerState.PAUSED) else "DOWN"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a project's security group."""

    project_id: str
    direction: str


def rules_of(project_id: str) -> list[Rule]:
    """The rules of a project's security group: IPv4 in both directions."""
    return [Rule(project_id, direction) for direction in ("egress", "ingress")]


_R = Member[Rule, Call]
SECURITY_GROUP_RULE = View(
    "SecurityGroupRule",
    _R("id", str, lambda rule, _: security_group_rule_id(rule.project_id, rule.direction)),
    _R("security_group_id", str, lambda rule, _: security_group_id(rule.project_id)),
    _R("tenant_id", str, lambda rule, _: rule.project_id),
    _R("project_id", str, lambda rule, _: rule.project_id),
    _R("direction", str, lambda rule, _: rule.direction),
    _R("ethertype", str, lambda _, __: "IPv4"),
    _R("protocol", None, lambda _, __: None),
    _R("port_range_min", None, lambda _, __: None),
    _R("port_range_max", None, lambda _, __: None),
    _R("remote_ip_prefix", str, lambda _, __: str(ipaddress.IPv4Network((0, 0)))),
    _R("remote_group_id", None, lambda _, __: None),
    _R("description", str, lambda _, __: ""),
)

_G = Member[str, Call]
SECURITY_GROUP = View(
    "SecurityGroup",
    _G("id", str, lambda project_id, _: security_group_id(project_id)),
    _G("name", str, lambda _, __: DEFAULT_GROUP),
    _G("description", str, lambda _, __: DEFAULT_GROUP_DESCRIPTION),
    _G("tenant_id", str, lambda project_id, _: project_id),
    _G("project_id", str, lambda project_id, _: project_id),
    _G("stateful", bool, lambda _, __: True),
    _G("shared", bool, lambda _, __: False),
    _G("security_group_rules", ListOf(SECURITY_GROUP_RULE), lambda project_id, _: rules_of(project_id)),
    _G("tags", EmptyList, lambda _, __: []),
)
"""The only security group of a project, made of the project's id: it passes all traffic, except packets with a spoofed
source address."""
