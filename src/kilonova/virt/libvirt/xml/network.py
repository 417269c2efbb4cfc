# SPDX-License-Identifier: Apache-2.0
"""Network XML as values: frozen dataclasses that render themselves, in a declared order, and the facts that are read
from libvirt's documents. Pure functions."""

from dataclasses import dataclass

from lxml import etree

Element = etree._Element  # pyright: ignore[reportPrivateUsage] - lxml gives the type no public name

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


def _element(parent: Element, tag: str, text: str | None = None, **attributes: str | int) -> Element:
    made = etree.SubElement(parent, tag, {name: str(value) for name, value in attributes.items()})
    if text is not None:
        made.text = text
    return made


def _text(element: Element) -> str:
    return etree.tostring(element, encoding="unicode")


@dataclass(frozen=True, slots=True)
class DhcpHost:
    """The address that a network keeps for a MAC: dnsmasq hands it out at once, without probing first.  `name` is its
    host name, or empty; libvirt accepts each address and each name once."""

    mac: str
    address: str
    name: str

    def element(self) -> Element:
        made = etree.Element("host", {"mac": self.mac})
        if self.name:
            made.set("name", self.name)
        made.set("ip", self.address)
        return made

    def xml(self) -> str:
        """The document of a network update."""
        return _text(self.element())


@dataclass(frozen=True, slots=True)
class DnsHost:
    """Names of an address in a network's DNS; libvirt accepts each address and each name once."""

    address: str
    names: tuple[str, ...]

    def element(self) -> Element:
        made = etree.Element("host", {"ip": self.address})
        for name in self.names:
            _element(made, "hostname", name)
        return made

    def xml(self) -> str:
        """The document of a network update."""
        return _text(self.element())


@dataclass(frozen=True, slots=True)
class NatNetwork:
    """A libvirt network behind NAT.  It has no range of dynamic leases: only guests that we know get an address.
    `reserved` is an address that no guest gets, so that the list of hosts is never empty: when the first host is added
    or the last host is removed, libvirt restarts dnsmasq, which takes two seconds.
    """

    name: str
    bridge: str
    gateway: str
    netmask: str
    reserved: DhcpHost
    mtu: int = 1500
    dns: tuple[str, ...] = ()
    hosts: tuple[DhcpHost, ...] = ()

    def xml(self) -> str:
        """The document, as text."""
        root = etree.Element("network")
        _element(root, "name", self.name)
        _element(root, "forward", mode="nat")
        # The bridge forwards at once: no spanning tree, no listening delay before the first lease.
        _element(root, "bridge", name=self.bridge, stp="off", delay=0)
        _element(root, "mtu", size=self.mtu)
        if self.dns:
            dns = _element(root, "dns")
            for server in self.dns:
                _element(dns, "forwarder", addr=server)
        ip = _element(root, "ip", address=self.gateway, netmask=self.netmask)
        dhcp = _element(ip, "dhcp")
        for host in (self.reserved, *self.hosts):
            dhcp.append(host.element())
        return etree.tostring(root, pretty_print=True, encoding="unicode")


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """The facts of an existing network that we need. `has_range`: its dnsmasq leases addresses to any client."""

    gateway: str
    netmask: str
    bridge: str
    hosts: tuple[DhcpHost, ...] = ()
    names: tuple[DnsHost, ...] = ()
    has_range: bool = False


def parse_network(text: str) -> NetworkFacts | None:
    """The facts of a libvirt network document; None when the network has no IPv4 address."""
    root = etree.fromstring(text, _PARSER)
    ip = root.find("ip")
    bridge = root.find("bridge")
    if ip is None or ip.get("address") is None:
        return None
    return NetworkFacts(
        gateway=ip.get("address", ""),
        netmask=ip.get("netmask", ""),
        bridge=bridge.get("name", "") if bridge is not None else "",
        hosts=tuple(
            DhcpHost(mac=host.get("mac", ""), address=host.get("ip", ""), name=host.get("name", ""))
            for host in root.iterfind("ip/dhcp/host")
        ),
        names=tuple(
            DnsHost(host.get("ip", ""), tuple(name.text or "" for name in host.iterfind("hostname")))
            for host in root.iterfind("dns/host")
        ),
        has_range=root.find("ip/dhcp/range") is not None,
    )


def interface_type(text: str) -> str:
    """The type of a host interface, read from its document."""
    return etree.fromstring(text, _PARSER).get("type", "")
