# SPDX-License-Identifier: Apache-2.0
"""The reservations of a libvirt NAT network for its guests: the address of each, and its name in the network's DNS."""

import libvirt

from kilonova.base.errors import HypervisorError
from kilonova.objects.instance import Address, Instance
from kilonova.virt.libvirt.xml import network as network_xml
from kilonova.virt.libvirt.xml.network import DhcpHost, DnsHost, NetworkFacts

_ADD = libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST
_DELETE = libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE
_HOST = libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST
_NAME = libvirt.VIR_NETWORK_SECTION_DNS_HOST


def lookup(conn: libvirt.virConnect, name: str) -> libvirt.virNetwork | None:
    """The network of that name."""
    try:
        return conn.networkLookupByName(name)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_NETWORK:
            return None
        raise


def lease_name(address: str) -> str:
    """The host name that dnsmasq gives with an address, for any name that the guest requests."""
    return f"host-{address.replace('.', '-')}"


def dns_name(instance: Instance) -> str:
    """A guest's name in the network's DNS: projects share it, so each project has a separate domain."""
    return f"{instance.hostname}.{instance.project_id}"


def assign(conn: libvirt.virConnect, instance: Instance, address: Address) -> None:
    """The network gives the address to the guest with its MAC, and has the guest's name in its DNS where no other guest
    of the project has that name. Earlier entries of either are replaced."""
    network = lookup(conn, address.network)
    if network is None:
        raise HypervisorError(f"The libvirt network {address.network} does not exist.")
    facts = facts_of(network)
    wanted = DhcpHost(address.mac, address.address, lease_name(address.address))
    if wanted not in facts.hosts:
        for host in facts.hosts:
            if host.mac == wanted.mac or host.address == wanted.address:
                _update(network, _DELETE, _HOST, host)
        _update(network, _ADD, _HOST, wanted)
    called = DnsHost(address.address, (dns_name(instance),))
    if called in facts.names:
        return
    for known in facts.names:
        if known.address == called.address:
            _update(network, _DELETE, _NAME, known)
    if all(called.names[0] not in known.names for known in facts.names if known.address != called.address):
        _update(network, _ADD, _NAME, called)


def withdraw(conn: libvirt.virConnect, address: Address) -> None:
    """The network has no reservation for the guest with this MAC, and no name at its address unless another guest has
    that address."""
    network = lookup(conn, address.network)
    if network is None:
        return
    facts = facts_of(network)
    for host in facts.hosts:
        if host.mac == address.mac:
            _update(network, _DELETE, _HOST, host)
    if any(host.address == address.address and host.mac != address.mac for host in facts.hosts):
        return
    for known in facts.names:
        if known.address == address.address:
            _update(network, _DELETE, _NAME, known)


def facts_of(network: libvirt.virNetwork) -> NetworkFacts:
    """The network's document, as libvirt returns it."""
    return network_xml.parse_network(network.XMLDesc(0)) or NetworkFacts("", "", "")


def _update(network: libvirt.virNetwork, command: int, section: int, entry: DhcpHost | DnsHost) -> None:
    where = libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG
    if network.isActive():
        where |= libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE
    network.update(command, section, -1, entry.xml(), where)
