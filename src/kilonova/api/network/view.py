# SPDX-License-Identifier: Apache-2.0
"""Networks, subnets, ports and security groups in the words of Network v2.0.

Source: Networking API reference v2.0.
"""

import ipaddress
from collections.abc import Iterable
from typing import Any

from kilonova.api.http.times import seconds_z
from kilonova.api.network.inventory import Network, Port
from kilonova.networks.ids import cidr_of, network_id, security_group_id, security_group_rule_id, subnet_id
from kilonova.objects.service import HostNetwork
from kilonova.objects.states import PowerState

NOBODY = ""
"""The owner of what belongs to the service itself."""

DEFAULT_GROUP = "default"
DEFAULT_GROUP_DESCRIPTION = "All traffic passes; a guest can send under its own addresses only"


def network(found: Network) -> dict[str, Any]:
    """A network; all projects share it."""
    return {
        "id": found.id,
        "name": found.name,
        "description": _said(found.parts.values()),
        "tenant_id": NOBODY,
        "project_id": NOBODY,
        "status": "ACTIVE",
        "admin_state_up": True,
        "shared": True,
        "is_default": found.default,
        "router:external": False,
        "port_security_enabled": True,
        "mtu": min(part.mtu for part in found.parts.values()),
        "subnets": [subnet_id(found.name, cidr) for cidr in found.parts],
        "availability_zones": sorted(found.zones),
        "availability_zone_hints": [],
        "tags": [],
    }


def _said(parts: Iterable[HostNetwork]) -> str:
    said = {
        "nat": "behind NAT",
        "user": "QEMU's user mode; guests are reached at their floating address",
        "bridge": "on the LAN",
    }
    return ", ".join(sorted({said.get(part.backend, part.backend) for part in parts}))


def subnets(found: Network) -> list[dict[str, Any]]:
    """The subnets of a network: one, or one per host that has chosen differently."""
    return [
        {
            "id": subnet_id(found.name, part.cidr),
            "name": found.name,
            "description": "",
            "network_id": found.id,
            "tenant_id": NOBODY,
            "project_id": NOBODY,
            "ip_version": 4,
            "cidr": part.cidr,
            "gateway_ip": part.gateway or None,
            "enable_dhcp": part.backend != "bridge",
            "allocation_pools": [{"start": part.first, "end": part.last}],
            "dns_nameservers": list(part.dns),
            "host_routes": [],
            "ipv6_address_mode": None,
            "ipv6_ra_mode": None,
            "subnetpool_id": None,
            "tags": [],
        }
        for part in found.parts.values()
    ]


def port(found: Port, *, admin: bool) -> dict[str, Any]:
    """A server's NIC."""
    instance, address = found.instance, found.address
    shown: dict[str, Any] = {
        "id": found.id,
        "name": "",
        "description": "",
        "network_id": network_id(address.network),
        "tenant_id": instance.project_id,
        "project_id": instance.project_id,
        "device_id": instance.id,
        "device_owner": f"compute:{instance.availability_zone or ''}",
        "mac_address": address.mac,
        "fixed_ips": [{"subnet_id": subnet_id(address.network, cidr_of(address)), "ip_address": address.address}],
        "status": port_state(found),
        "admin_state_up": True,
        "security_groups": [security_group_id(instance.project_id)],
        "port_security_enabled": True,
        "allowed_address_pairs": [],
        "binding:vnic_type": "normal",
        "dns_name": instance.hostname,
        "created_at": seconds_z(instance.created_at),
        "updated_at": seconds_z(instance.updated_at),
        "tags": [],
    }
    if admin:
        shown["binding:host_id"] = instance.host or ""
    return shown


def port_state(found: Port) -> str:
    """A NIC is there while its guest is."""
    return "ACTIVE" if found.instance.power_state in (PowerState.RUNNING, PowerState.PAUSED) else "DOWN"


def security_group(project_id: str) -> dict[str, Any]:
    """A project's one group: everything passes, but for what is sent under a false address."""
    return {
        "id": security_group_id(project_id),
        "name": DEFAULT_GROUP,
        "description": DEFAULT_GROUP_DESCRIPTION,
        "tenant_id": project_id,
        "project_id": project_id,
        "stateful": True,
        "shared": False,
        "security_group_rules": security_group_rules(project_id),
        "tags": [],
    }


def security_group_rules(project_id: str) -> list[dict[str, Any]]:
    """IPv4 in both directions."""
    return [
        {
            "id": security_group_rule_id(project_id, direction),
            "security_group_id": security_group_id(project_id),
            "tenant_id": project_id,
            "project_id": project_id,
            "direction": direction,
            "ethertype": "IPv4",
            "protocol": None,
            "port_range_min": None,
            "port_range_max": None,
            "remote_ip_prefix": str(ipaddress.IPv4Network((0, 0))),
            "remote_group_id": None,
            "description": "",
        }
        for direction in ("egress", "ingress")
    ]
