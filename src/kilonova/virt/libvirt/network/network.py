# SPDX-License-Identifier: Apache-2.0
"""The networks that this host gives its guests.

`nat`: a libvirt network of our own, with a static lease per guest.  `bridge`: a bridge of the host, which puts the
guests on its LAN.  `user`: QEMU's user-mode network, which lives inside each guest's own QEMU and needs nothing on the
host.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import libvirt
import structlog

from kilonova.base.errors import HypervisorError
from kilonova.config.network import BridgeNetwork, NetworkSettings
from kilonova.networks.addresses import USER_SUBNET, bridge_network, choose_subnet, host_network
from kilonova.objects.hardware import Hardware
from kilonova.objects.host_contents import NetworkContents, Reserved
from kilonova.objects.instance import Address, Instance
from kilonova.objects.service import HostNetwork
from kilonova.virt.libvirt.network import filters, reservations
from kilonova.virt.libvirt.xml import network as network_xml
from kilonova.virt.libvirt.xml.domain import HostInterface, UserInterface
from kilonova.virt.libvirt.xml.network import DhcpHost, NatNetwork

log = structlog.get_logger(__name__)

ROUTES = Path("/proc/net/route")
BRIDGE_NAME_MOST = 15
"""The kernel's limit for names of interfaces."""

RESERVED_MAC = "02:00:00:00:00:01"
"""Locally administered, and outside of the range that guests' are made from."""


@dataclass(frozen=True, slots=True)
class Found:
    """A host's networks, whether the traffic of guests on them is filtered, and whether projects on its NAT network
    are isolated."""

    networks: tuple[HostNetwork, ...] = ()
    filtered: bool = False
    isolated: bool = True

    def of(self, address: Address) -> HostNetwork:
        """The network of an address.  Raises HypervisorError."""
        for network in self.networks:
            if network.name == address.network:
                return network
        raise HypervisorError(f"This host no longer has the network {address.network}.")


def backend_of(configured: str, uri: str) -> str:
    """`auto` by connection: only a system daemon can make bridges."""
    if configured != "auto":
        return configured
    parts = urlsplit(uri)
    return "nat" if parts.scheme.startswith("qemu") and parts.path == "/system" else "user"


def bridge_of(network_name: str) -> str:
    """The bridge of a NAT network that we make."""
    return f"{network_name[: BRIDGE_NAME_MOST - 2]}br"


def read_routes(path: Path = ROUTES) -> list[str]:
    """The host's IPv4 routes as CIDR texts.  Blocks; raises OSError."""
    found: list[str] = []
    for line in path.read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        destination, mask = (_address(fields[index]) for index in (1, 7))
        found.append(f"{destination}/{mask}")
    return found


def _address(reversed_hex: str) -> str:
    return str(ipaddress.ip_address(bytes.fromhex(reversed_hex)[::-1]))


def user_network(settings: NetworkSettings) -> HostNetwork:
    """The user-mode network as guests see it."""
    return host_network(settings.name, "user", settings.cidr or USER_SUBNET, settings.dns, settings.ssh_port)


def look(conn: libvirt.virConnect, settings: NetworkSettings, backend: str, *, read_only: bool) -> Found:
    """The host's networks, the default network first; with `read_only` nothing is made. HypervisorError when our own
    network cannot serve guests. This does not check that a declared bridge exists."""
    networks: list[HostNetwork] = []
    if backend == "user":
        networks.append(user_network(settings))
    elif backend == "nat":
        described = (find_nat if read_only else ensure_nat)(conn, settings)
        networks += [described] if described is not None else []
    networks += map(bridge_network, settings.bridges)
    filtered = any(network.backend != "user" for network in networks)
    filtered = filtered and (filters.supported(conn) if read_only else filters.ensure(conn))
    return Found(tuple(networks), filtered, settings.isolate_projects)


def contents(conn: libvirt.virConnect, settings: NetworkSettings, backend: str) -> NetworkContents:
    """The host's networks as they are now, with their troubles and reservations; nothing is made."""
    try:
        found = look(conn, settings, backend, read_only=True).networks
    except HypervisorError as exc:
        return NetworkContents((settings.name, *(one.name for one in settings.bridges)), (exc.message,))
    troubles = missing_bridges(conn, found)
    names = tuple(network.name for network in found)
    if backend != "nat":
        return NetworkContents(names, tuple(troubles))
    own = reservations.lookup(conn, settings.name)
    if own is None or not own.isActive():
        what = "is not defined" if own is None else "does not run"
        troubles.append(f"The libvirt network {settings.name} {what}.")
    hosts = () if own is None else reservations.facts_of(own).hosts
    reserved = tuple(Reserved(one.mac, one.address) for one in hosts if one.mac != RESERVED_MAC)
    return NetworkContents(names, tuple(troubles), settings.name if own is not None else "", reserved)


def warn(found: Found) -> None:
    """Warn of the traffic of guests that this host does not prevent."""
    backends = {network.backend for network in found.networks}
    if "user" in backends:
        log.warning(
            "guests on the user-mode network reach what listens on this host's loopback, by the gateway's address",
            networks=", ".join(network.name for network in found.networks if network.backend == "user"),
        )
    if backends != {"user"} and not found.filtered:
        log.warning(
            "guests can send from addresses that are not theirs, and projects are not kept apart: "
            "this libvirt has no network filters"
        )


def missing_bridges(conn: libvirt.virConnect, networks: Iterable[HostNetwork | BridgeNetwork]) -> list[str]:
    """A sentence for each of these networks whose bridge does not exist, or is not a bridge."""
    messages: list[str] = []
    for network in networks:
        kind = _kind_of_interface(conn, network.bridge) if network.bridge else "bridge"
        if kind not in ("bridge", None):
            what = "is no bridge" if kind else "is not there"
            messages.append(f"The bridge {network.bridge} of the network {network.name} {what} on this host.")
    return messages


def _kind_of_interface(conn: libvirt.virConnect, name: str) -> str | None:
    """The interface's type, empty when there is none; None where the daemon does not support interfaces."""
    try:
        return network_xml.interface_type(conn.interfaceLookupByName(name).XMLDesc(0))
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_INTERFACE:
            return ""
        if exc.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return None
        raise


def plug(conn: libvirt.virConnect, instance: Instance, found: Found) -> None:
    """Each of the guest's networks is ready for it. HypervisorError, in one sentence, for a network that cannot be."""
    networks = [found.of(address) for address in instance.addresses]
    if missing := missing_bridges(conn, networks):
        raise HypervisorError(f"{missing[0]} Make it, or correct the configuration, and start again.")
    for network, address in zip(networks, instance.addresses, strict=True):
        if network.backend == "nat":
            reservations.assign(conn, instance, address)


def find_nat(conn: libvirt.virConnect, settings: NetworkSettings) -> HostNetwork | None:
    """Our NAT network as guests see it; None when it is not defined.  HypervisorError when it cannot serve guests."""
    network = reservations.lookup(conn, settings.name)
    if network is None:
        return None
    facts = network_xml.parse_network(network.XMLDesc(0))
    if facts is None:
        raise HypervisorError(f"The libvirt network {settings.name} has no IPv4 address and cannot serve guests.")
    cidr = str(ipaddress.ip_network(f"{facts.gateway}/{facts.netmask}", strict=False))
    described = host_network(settings.name, "nat", cidr, settings.dns)
    if described.bounds[0] > described.bounds[1]:
        raise HypervisorError(f"The libvirt network {settings.name} has no address for a guest: {cidr} is too small.")
    return described


def ensure_nat(conn: libvirt.virConnect, settings: NetworkSettings) -> HostNetwork | None:
    """Our NAT network is defined, starts with the host, and runs. An existing network keeps its subnet."""
    network = reservations.lookup(conn, settings.name)
    if network is None:
        network = conn.networkDefineXML(_document(settings, settings.cidr or _free_subnet()).xml())
    described = find_nat(conn, settings)
    if not network.autostart():
        network.setAutostart(1)
    if not network.isActive():
        network.create()
    return described


def _document(settings: NetworkSettings, cidr: str) -> NatNetwork:
    described = host_network(settings.name, "nat", cidr)
    return NatNetwork(
        name=settings.name,
        bridge=bridge_of(settings.name),
        gateway=described.gateway,
        netmask=str(ipaddress.ip_network(cidr).netmask),
        reserved=DhcpHost(mac=RESERVED_MAC, address=str(ipaddress.ip_network(cidr)[2]), name="reserved"),
        dns=settings.dns,
    )


def _free_subnet() -> str:
    cidr = choose_subnet(read_routes())
    if cidr is None:
        raise HypervisorError("Every subnet that could be used collides with a route of this host: set [network] cidr.")
    return cidr


def interfaces(instance: Instance, found: Found, hardware: Hardware) -> tuple[HostInterface | UserInterface, ...]:
    """The guest's NICs, for its addresses on this host's networks.  Raises HypervisorError."""
    return tuple(_interface(instance, address, found, hardware) for address in instance.addresses)


def _interface(instance: Instance, address: Address, found: Found, hardware: Hardware) -> HostInterface | UserInterface:
    network = found.of(address)
    if network.backend != "user":
        kind, source = ("bridge", network.bridge) if network.bridge else ("network", network.name)
        isolated = found.isolated and network.backend == "nat"
        traffic = filters.of_guest(address, network, isolated=isolated) if found.filtered else None
        return HostInterface(kind, source, address.mac, address.mtu, traffic, hardware.vif_model)
    reachable = address.floating and network.ssh_port
    return UserInterface(
        mac=address.mac,
        cidr=network.cidr,
        gateway=address.gateway,
        dns=network.dns[0],
        address=address.address,
        hostname=instance.hostname,
        forward=f"{address.floating}:{network.ssh_port}" if reachable else "",
        model=hardware.vif_model,
        bus="pcie.0" if hardware.is_q35 else "pci.0",
    )
