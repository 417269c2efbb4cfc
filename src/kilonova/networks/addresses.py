# SPDX-License-Identifier: Apache-2.0
"""Choosing subnets, addresses and MACs."""

import hashlib
import ipaddress
from collections.abc import Iterable

from kilonova.config.network import NOT_FOR_GUESTS, BridgeNetwork
from kilonova.objects.ids import InstanceId
from kilonova.objects.service import HostNetwork

CANDIDATE_SUBNETS = tuple(f"10.{n}.0.0/20" for n in (77, 78, 79, 107, 137, 167, 197))
"""Private subnets to try in this order; the first that collides with no route of the host is used."""

LOOPBACK_FIRST, LOOPBACK_LAST = (int(ipaddress.ip_address(text)) for text in ("127.1.0.0", "127.255.255.254"))
"""The host's own addresses for guests of user-mode networks, one each.  Systems use the addresses below themselves
(127.0.0.1, 127.0.0.53, 127.0.1.1)."""

USER_SUBNET = "10.0.2.0/24"
"""The subnet of QEMU's user-mode network.  It exists inside each guest's own QEMU, so it collides with nothing."""


def choose_subnet(routes: Iterable[str], candidates: Iterable[str] = CANDIDATE_SUBNETS) -> str | None:
    """The first candidate that overlaps none of `routes` (CIDR texts); None when all collide."""
    taken = [ipaddress.ip_network(route, strict=False) for route in routes]
    for text in candidates:
        net = ipaddress.ip_network(text)
        if not any(net.overlaps(other) for other in taken if other.version == net.version and other.prefixlen > 0):
            return text
    return None


def host_network(name: str, backend: str, cidr: str, dns: tuple[str, ...] = (), ssh_port: int = 0) -> HostNetwork:
    """A network on `cidr`: the gateway is its first address; guests get the rest, except the first sixteen (user-mode
    networks: QEMU itself answers at .2 and .3)."""
    net = ipaddress.ip_network(cidr)
    gateway = net.network_address + (2 if backend == "user" else 1)
    if not dns:
        dns = (str(net.network_address + 3),) if backend == "user" else (str(gateway),)
    return HostNetwork(
        name=name,
        backend=backend,
        cidr=cidr,
        gateway=str(gateway),
        first=str(net.network_address + NOT_FOR_GUESTS),
        last=str(net.broadcast_address - 1),
        dns=dns,
        ssh_port=ssh_port if backend == "user" else 0,
    )


def bridge_network(declared: BridgeNetwork) -> HostNetwork:
    """A declared network as guests see it."""
    return HostNetwork(
        name=declared.name,
        backend="bridge",
        cidr=declared.cidr,
        gateway=declared.gateway,
        first=declared.first,
        last=declared.last,
        dns=declared.dns,
        mtu=declared.mtu,
        bridge=declared.bridge,
        physical=declared.physical,
    )


def loopback_of(instance_id: InstanceId) -> int:
    """The preferred loopback address of a guest, as a number: derived from its id, so that independent services on one
    machine rarely choose the same address."""
    digest = hashlib.sha256(f"{instance_id}/loopback".encode()).digest()
    return LOOPBACK_FIRST + int.from_bytes(digest[:8], "big") % (LOOPBACK_LAST - LOOPBACK_FIRST + 1)


UNDIVIDED = 0x163E
"""The prefix in the MACs of guests that were created before projects had numbers: fa:16:3e, as OpenStack's."""

PROJECT_LAST = 0xFFFF
"""The highest number of a project."""

PROJECT_MASK = "ff:ff:ff:00:00:00"
"""The part of a MAC that identifies the project."""


def mac_of(instance_id: InstanceId, index: int = 0, project: int = UNDIVIDED) -> str:
    """A stable MAC for a guest's NIC, locally administered: `fa`, the number of its project (16 bits), and a hash."""
    digest = hashlib.sha256(f"{instance_id}/{index}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0xFA, *project.to_bytes(2, "big"), *digest[:3]))


def project_of(mac: str) -> str:
    """The common part of all MACs of a project, as a MAC."""
    return f"{mac[:8]}:00:00:00"


def project_number(project_id: str) -> int:
    """The preferred number of a project: derived from its id, so that a new database after a loss assigns the same
    numbers."""
    return int.from_bytes(hashlib.sha256(project_id.encode()).digest()[:2], "big")
