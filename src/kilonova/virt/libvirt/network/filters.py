# SPDX-License-Identifier: Apache-2.0
"""The traffic that guests may send and receive on a shared network: our own libvirt filters (nwfilter).

`kilonova-guest` lets a guest send IPv4 and ARP, from its own MAC and address; neither as a DHCP server nor under any
other protocol: without IPv6 there are no router advertisements and no neighbour discovery to forge. `kilonova-project`
is the same, and the guest receives only frames of its own project and of the network's gateway. The MAC of a frame
shows its project (see `networks.addresses.mac_of`): the sender's own filter allows no other MAC.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import libvirt
from lxml import etree

from kilonova.networks.addresses import PROJECT_MASK, project_of
from kilonova.objects.instance import Address
from kilonova.objects.service import HostNetwork
from kilonova.virt.libvirt.xml.domain import TrafficFilter

GUEST = "kilonova-guest"
PROJECT = "kilonova-project"

_IDS = uuid.UUID("6f5f2e0a-6c3d-4f0e-9d0b-3c1b7c6f7e51")
"""libvirt redefines a filter only under the id that it has."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`direction` is the guest's: "out" is the traffic that it sends. `match` selects frames of `protocol`, a name of
    nwfilter's; an empty protocol means all."""

    action: str
    direction: str
    protocol: str = ""
    match: Mapping[str, str] = field(default_factory=dict[str, str])


_DHCP_CLIENT = {"protocol": "udp", "srcportstart": "68", "dstportstart": "67"}
_OWN_ARP = {"arpsrcmacaddr": "$MAC", "arpsrcipaddr": "$IP"}

GUEST_RULES = (
    Rule("drop", "out", "mac", {"match": "no", "srcmacaddr": "$MAC"}),
    # A client accepts a reply by its destination port, so the source port does not identify a server.
    Rule("drop", "out", "ip", {"protocol": "udp", "srcportstart": "67"}),
    Rule("drop", "out", "ip", {"protocol": "udp", "dstportstart": "68"}),
    Rule("accept", "out", "ip", {"srcipaddr": "0.0.0.0", "dstipaddr": "255.255.255.255", **_DHCP_CLIENT}),
    Rule("accept", "out", "ip", {"srcipaddr": "$IP"}),
    Rule("accept", "out", "arp", {"opcode": "1", **_OWN_ARP}),
    Rule("accept", "out", "arp", {"opcode": "2", **_OWN_ARP}),
    # A probe whether another machine has the address (RFC 5227).
    Rule("accept", "out", "arp", {"opcode": "1", "arpsrcmacaddr": "$MAC", "arpsrcipaddr": "0.0.0.0"}),
    Rule("accept", "in", "ip"),
    Rule("accept", "in", "arp"),
    Rule("drop", "inout"),
)

PROJECT_RULES = (
    Rule("accept", "in", "mac", {"srcmacaddr": "$PROJECT", "srcmacmask": PROJECT_MASK}),
    Rule("accept", "in", "ip", {"srcipaddr": "$GATEWAY"}),
    Rule("accept", "in", "arp", {"arpsrcipaddr": "$GATEWAY"}),
    Rule("drop", "in", "arp"),
    # This includes what the gateway forwards from another project's guest with that guest's address.
    Rule("drop", "in", "ip", {"srcipaddr": "$SUBNET", "srcipmask": "$MASK"}),
    Rule("drop", "in", "ip", {"srcipaddr": "0.0.0.0"}),
)

_PRIORITIES = {PROJECT: -900, GUEST: -500}


def ensure(conn: libvirt.virConnect) -> bool:
    """Define both filters; running guests that use them get changed rules at once. False where the daemon has no
    filters at all."""
    for name in (GUEST, PROJECT):
        try:
            conn.nwfilterDefineXML(document(name))
        except libvirt.libvirtError as exc:
            if exc.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
                return False
            raise
    return True


def supported(conn: libvirt.virConnect) -> bool:
    """Whether the daemon has filters."""
    try:
        conn.numOfNWFilters()
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return False
        raise
    return True


def document(name: str) -> str:
    """The definition of one of the two, for libvirt."""
    root = etree.Element("filter", {"name": name, "chain": "root"})
    etree.SubElement(root, "uuid").text = str(uuid.uuid5(_IDS, name))
    if name == PROJECT:
        etree.SubElement(root, "filterref", {"filter": GUEST})
    rules = PROJECT_RULES if name == PROJECT else GUEST_RULES
    for priority, rule in enumerate(rules, _PRIORITIES[name]):
        words = {"action": rule.action, "direction": rule.direction, "priority": str(priority)}
        made = etree.SubElement(root, "rule", words)
        if rule.protocol:
            etree.SubElement(made, rule.protocol, dict(rule.match))
    return etree.tostring(root, pretty_print=True, encoding="unicode")


def of_guest(address: Address, network: HostNetwork, *, isolated: bool) -> TrafficFilter:
    """The filter of a guest's NIC; `isolated` from the other projects on its network."""
    own = (("IP", address.address),)
    if not isolated:
        return TrafficFilter(GUEST, own)
    subnet = network.subnet
    return TrafficFilter(
        PROJECT,
        (
            *own,
            ("PROJECT", project_of(address.mac)),
            ("GATEWAY", address.gateway),
            ("SUBNET", str(subnet.network_address)),
            ("MASK", str(subnet.netmask)),
        ),
    )
