# SPDX-License-Identifier: Apache-2.0
"""What a guest may send and hear on a wire that it shares: real filters, bridges and dnsmasq; the guests are cables."""

import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import libvirt
import pytest
from lxml import etree

from kilonova.config.load import load
from kilonova.networks.addresses import mac_of
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Address
from kilonova.virt.libvirt.network import filters, network, reservations
from kilonova.virt.libvirt.xml.network import DhcpHost
from lab.common import LabError
from lab.counting import cannot_run
from lab.system_libvirtd import PrivateSystemLibvirtd
from tests.live.wire import IPV6, Port, arp, ethernet, port, udp

pytestmark = pytest.mark.live

SUBNET = "10.77.0.0/20"
GATEWAY, ALICE, SISTER, BOB = "10.77.0.1", "10.77.0.16", "10.77.0.17", "10.77.0.18"
FALSE = "10.77.0.200"


@dataclass
class Wire:
    """Two guests of one project, one of another, and the bridge's MAC."""

    alice: Port
    sister: Port
    bob: Port
    gateway_mac: str


@pytest.fixture(scope="module")
def conn() -> Iterator[libvirt.virConnect]:
    if (reason := PrivateSystemLibvirtd.unavailable()) is not None:
        cannot_run(f"a system libvirtd of its own: {reason}")
    daemon = PrivateSystemLibvirtd(Path(tempfile.mkdtemp(prefix="kn-", dir="/tmp")))
    try:
        try:
            daemon.start()
        except LabError as exc:
            cannot_run(exc.sentence)
        with daemon.entered():
            opened = libvirt.open(daemon.uri)
            yield opened
            opened.close()
    finally:
        daemon.remove()


@contextmanager
def guest(conn: libvirt.virConnect, name: str, address: str, project: int, *, isolated: bool) -> Generator[Port]:
    """A cable with the address and the filter that a guest of that project gets."""
    settings = load(overrides={("network", "cidr"): SUBNET}).network
    settings = replace(settings, isolate_projects=isolated)
    found = network.look(conn, settings, "nat", read_only=False)
    assert found.filtered
    own = Address("kilonova", address, mac_of(InstanceId(name), 0, project), 20, GATEWAY)
    with port("kilonovabr", own.mac) as nic:
        box = etree.Element("filterbinding")
        owner = etree.SubElement(box, "owner")
        etree.SubElement(owner, "name").text = name
        etree.SubElement(owner, "uuid").text = f"00000000-0000-4000-8000-{project:06x}{int(address[-2:]):06x}"
        etree.SubElement(box, "portdev", name=nic.host_end)
        etree.SubElement(box, "mac", address=own.mac)
        filters.of_guest(own, found.networks[0], isolated=found.isolated).render(box)
        binding = conn.nwfilterBindingCreateXML(etree.tostring(box, encoding="unicode"))
        try:
            yield nic
        finally:
            binding.delete()


@pytest.fixture(params=[True, False], ids=["isolated", "open"])
def wire(request: pytest.FixtureRequest, conn: libvirt.virConnect) -> Iterator[tuple[Wire, bool]]:
    isolated: bool = request.param
    with (
        guest(conn, "alice", ALICE, 1, isolated=isolated) as alice,
        guest(conn, "sister", SISTER, 1, isolated=isolated) as sister,
        guest(conn, "bob", BOB, 2, isolated=isolated) as bob,
    ):
        yield Wire(alice, sister, bob, _answer(alice, ALICE)), isolated


def _answer(nic: Port, address: str) -> str:
    """The gateway's MAC, by ARP."""
    nic.send(arp(nic.mac, address, GATEWAY))
    heard = nic.hear(
        lambda frame: frame[12:14] == b"\x08\x06" and frame[21] == 2 and frame[28:32] == bytes((10, 77, 0, 1))
    )
    return heard[-1][22:28].hex(":")


def passes(sender: Port, hearer: Port, frame: bytes, marker: bytes) -> bool:
    """Whether the frame comes; the marker, which is sent after it on the same way, does."""
    sender.send(frame)
    sender.send(marker)
    heard = hearer.hear(marker.__eq__)
    assert heard, "not even the marker came"
    return frame in heard


def test_a_guest_sends_as_itself_alone(wire: tuple[Wire, bool]) -> None:
    alice, sister = wire[0].alice, wire[0].sister
    marker = udp(ALICE, SISTER, (7, 7), b"marker", mac=alice.mac, to=sister.mac)
    other = "fa:00:01:99:99:99"
    allowed = {
        "IPv4": udp(ALICE, SISTER, (5, 6), b"hello", mac=alice.mac, to=sister.mac),
        "broadcast": udp(ALICE, "255.255.255.255", (5, 6), b"hello", mac=alice.mac),
        "question by ARP": arp(alice.mac, ALICE, SISTER),
        "answer by ARP": arp(alice.mac, ALICE, SISTER, 2),
        "probe": arp(alice.mac, "0.0.0.0", ALICE),
    }
    forbidden = {
        "another's MAC": udp(ALICE, SISTER, (5, 6), b"hello", mac=other, to=sister.mac),
        "another's address": udp(FALSE, SISTER, (5, 6), b"hello", mac=alice.mac, to=sister.mac),
        "no address": udp("0.0.0.0", SISTER, (5, 6), b"hello", mac=alice.mac, to=sister.mac),
        "ARP for another's address": arp(alice.mac, FALSE, SISTER),
        "the gateway by ARP": arp(alice.mac, GATEWAY, SISTER, 2),
        "another's MAC in ARP": arp(alice.mac, ALICE, SISTER, 2, sender=other),
        "DHCP server": udp(ALICE, "255.255.255.255", (67, 68), b"offer", mac=alice.mac),
        "DHCP server by another port": udp(ALICE, SISTER, (4000, 68), b"offer", mac=alice.mac, to=sister.mac),
        "DHCP relay": udp(ALICE, SISTER, (67, 67), b"offer", mac=alice.mac, to=sister.mac),
        "router advertisement": ethernet(alice.mac, "33:33:00:00:00:01", IPV6, _icmpv6(134)),
        "neighbour advertisement": ethernet(alice.mac, sister.mac, IPV6, _icmpv6(136)),
        "VLAN": ethernet(alice.mac, sister.mac, 0x8100, b"\0\1\x08\0" + marker[14:]),
        "another protocol": ethernet(alice.mac, sister.mac, 0x88B5, b"x"),
    }
    assert {name for name, frame in allowed.items() if passes(alice, sister, frame, marker)} == set(allowed)
    assert {name for name, frame in forbidden.items() if passes(alice, sister, frame, marker)} == set()


def _icmpv6(kind: int) -> bytes:
    link_local = bytes((0xFE, 0x80, *bytes(13), 1))
    return bytes((0x60, 0, 0, 0, 0, 24, 58, 255)) + link_local * 2 + bytes((kind, 0, *bytes(22)))


def test_a_guest_hears_its_own_project_and_the_gateway(wire: tuple[Wire, bool], conn: libvirt.virConnect) -> None:
    made, isolated = wire
    bob = made.bob
    frames = {
        "direct": udp(BOB, ALICE, (5, 6), b"hello", mac=bob.mac, to=made.alice.mac),
        "broadcast": udp(BOB, "255.255.255.255", (5, 6), b"hello", mac=bob.mac),
        "who asks for an address": udp("0.0.0.0", "255.255.255.255", (68, 67), b"discover", mac=bob.mac),
        "ARP": arp(bob.mac, BOB, ALICE),
        "probe": arp(bob.mac, "0.0.0.0", ALICE),
    }
    # It takes the sister's way in, for bob's own may be closed: both hang on one bridge, so what bob sent came before.
    marker = udp(SISTER, ALICE, (7, 7), b"marker", mac=made.sister.mac, to=made.alice.mac)
    for frame in frames.values():
        bob.send(frame)
    # Across the gateway, which keeps the sender's address within the network.
    bob.send(udp(BOB, ALICE, (8, 8), b"routed", mac=bob.mac, to=made.gateway_mac))
    assert _answer(bob, BOB) == made.gateway_mac  # what bob sent before has been dealt with
    made.sister.send(marker)
    heard = made.alice.hear(marker.__eq__)
    assert heard
    came = {name for name, frame in frames.items() if frame in heard}
    assert came == (set() if isolated else set(frames))
    assert any(frame.endswith(b"routed") or b"routed" in frame for frame in heard) is not isolated
    # And the gateway gives addresses to both.
    lookup = reservations.lookup(conn, "kilonova")
    assert lookup is not None
    for nic, address in ((made.alice, ALICE), (bob, BOB)):
        lookup.update(3, 4, -1, DhcpHost(nic.mac, address, f"host-{address[-2:]}").xml(), 3)
        assert nic.ask_dhcp() == address
        lookup.update(2, 4, -1, DhcpHost(nic.mac, address, f"host-{address[-2:]}").xml(), 3)
