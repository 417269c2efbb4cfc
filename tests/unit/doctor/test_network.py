# SPDX-License-Identifier: Apache-2.0
"""What guests' packets meet, by texts of routes and firewalls."""

import os
import socket
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.doctor import network, table
from kilonova.doctor.examine import judge_survey
from kilonova.doctor.finding import Finding, Level
from kilonova.doctor.subject import Places, Subject
from tests.unit.doctor.arranged import subject
from tests.unit.doctor.test_hypervisor import GOOD

ROUTES = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
vpn0	00004D0A	00000000	0001	0	0	0	0000FFFF	0	0	0
"""


@pytest.fixture
def routes(tmp_path: Path) -> list[tuple[str, str]]:
    (tmp_path / "route").write_text(ROUTES)
    return network.read_named_routes(tmp_path / "route")


def test_routes_are_read_with_their_interfaces(routes: list[tuple[str, str]]) -> None:
    assert routes == [
        ("eth0", "0.0.0.0/0.0.0.0"),
        ("eth0", "192.0.2.0/255.255.255.0"),
        ("vpn0", "10.77.0.0/255.255.0.0"),
    ]


def test_a_subnet_that_collides_with_a_vpn(routes: list[tuple[str, str]]) -> None:
    found = network.judge_subnet("10.77.0.0/20", None, routes)
    assert found.level is Level.ERROR
    assert "vpn0" in found.found
    assert network.judge_subnet("", None, routes).facts["cidr"] == "10.78.0.0/20"
    there = network.judge_subnet("", ("10.77.0.1/255.255.240.0", "kilonovabr"), routes)
    assert "net-destroy" in there.cure
    assert network.judge_subnet("192.168.5.0/24", None, routes).level is Level.OK


def test_our_own_bridge_is_no_collision() -> None:
    own = [("kilonovabr", "10.77.0.0/255.255.240.0")]
    assert network.judge_subnet("", ("10.77.0.1/255.255.240.0", "kilonovabr"), own).level is Level.OK


def host(tmp_path: Path, *, runs: bool, forwards: bool, cidr: str = "") -> Subject:
    """A host with a NAT network; `runs`: its bridge is there, on a subnet that the VPN has too."""
    (tmp_path / "net").mkdir()
    ours = "kilonovabr\t00404D0A\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0\n" if runs else ""
    (tmp_path / "net/route").write_text(ROUTES + ours)
    (tmp_path / "sys/net/ipv4").mkdir(parents=True)
    (tmp_path / "sys/net/ipv4/ip_forward").write_text(f"{forwards:d}\n")
    options = {"network__backend": "nat", "network__cidr": cidr, "libvirt__connection_uri": "qemu:///system"}
    return subject(tmp_path, Places(proc=tmp_path), **options)


def judged_without_libvirt(looked_at: Subject) -> dict[str, Finding]:
    """By the doctor's own table."""
    found = judge_survey(looked_at, table.ON_SURVEY, "the connection was refused")
    return {finding.check: finding for finding in found}


def test_without_libvirt_the_kernel_says_what_it_knows(tmp_path: Path) -> None:
    found = judged_without_libvirt(host(tmp_path, runs=True, forwards=False))
    assert (found["network-subnet"].level, "vpn0" in found["network-subnet"].found) == (Level.ERROR, True)
    assert found["ip-forward"].level is Level.ERROR  # a network that runs and reaches nobody
    assert found["libvirt-version"].level is Level.NOTE


def test_without_libvirt_and_without_its_network(tmp_path: Path) -> None:
    found = judged_without_libvirt(host(tmp_path, runs=False, forwards=False, cidr="10.77.0.0/20"))
    assert found["network-subnet"].level is Level.ERROR
    assert found["ip-forward"].level is Level.NOTE


def test_without_libvirt_all_is_well(tmp_path: Path) -> None:
    found = judged_without_libvirt(host(tmp_path, runs=False, forwards=True, cidr="192.168.5.0/24"))
    assert {found[name].level for name in ("network-subnet", "ip-forward")} == {Level.OK}


def test_no_subnet_left() -> None:
    assert network.judge_subnet("", None, [("tun0", "10.0.0.0/8")]).level is Level.ERROR


def test_the_hosts_loopback_is_open_to_guests_of_a_user_mode_network_alone(tmp_path: Path) -> None:
    for backend, level in (("user", Level.WARNING), ("nat", Level.OK)):
        assert network.host_loopback(subject(tmp_path, network__backend=backend)).level is level


def test_bridges_that_are_missing_and_filters_that_are(tmp_path: Path) -> None:
    lan = {"network__bridges": ["lan"], "network__backend": "bridge"}
    section = {"bridge": "br0", "cidr": "192.0.2.0/24", "range": "192.0.2.10-192.0.2.11"}
    declared = subject(tmp_path, **lan, **{f"network:lan__{name}": value for name, value in section.items()})
    assert network.bridges(declared, GOOD).level is Level.OK
    said = "The bridge br0 of the network lan is not there on this host."
    lost = network.bridges(declared, replace(GOOD, bad_bridges=(said,)))
    assert (lost.level, lost.found) == (Level.ERROR, said)
    assert network.bridges(declared, replace(GOOD, filtered=False)).level is Level.WARNING
    user = subject(tmp_path, network__backend="user")
    assert network.bridges(user, replace(GOOD, filtered=False)).level is Level.OK


@pytest.mark.parametrize(
    ("on", "backend", "active", "level"),
    [
        (True, "nat", True, Level.OK),
        (False, "user", False, Level.OK),
        (False, "nat", False, Level.NOTE),
        (False, "nat", True, Level.ERROR),
    ],
)
def test_forwarding(on: bool, backend: str, active: bool, level: Level) -> None:
    assert network.judge_forwarding(on, backend, active).level is level


def test_a_daemon_in_a_namespace_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/net").touch()
    (tmp_path / f"{os.getpid()}/ns").mkdir(parents=True)
    (tmp_path / f"{os.getpid()}/ns/net").touch()
    with tempfile.TemporaryDirectory(prefix="kn-") as short, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{short}/sock")
        server.listen()
        uri = f"qemu+unix:///system?socket={short}/sock"
        other = subject(tmp_path, Places(proc=tmp_path), libvirt__connection_uri=uri)
        assert network.lives_elsewhere(other)
        assert not network.lives_elsewhere(subject(tmp_path, libvirt__connection_uri=uri))
    assert not network.lives_elsewhere(other)  # nobody listens any more


DOCKER = "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-FORWARD\n"
LIBVIRT = "-A FORWARD -j LIBVIRT_FWX\n-A FORWARD -j LIBVIRT_FWI\n-A FORWARD -j LIBVIRT_FWO\n"
IPTABLES_IN_NFT = """\
table ip filter {
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
	}
}
table ip6 filter {
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
	}
}
"""
HARDENED = """\
table inet hardened {
	chain forward {
		type filter hook forward priority filter; policy drop;
	}
}
"""


@pytest.mark.parametrize(
    ("iptables", "nft", "level", "words"),
    [
        ("-P FORWARD ACCEPT\n", "", Level.OK, "No firewall drops"),
        (DOCKER, "", Level.WARNING, "Docker"),
        (DOCKER + LIBVIRT, IPTABLES_IN_NFT, Level.OK, "accept guest packets"),
        ("-P FORWARD DROP\n", "", Level.WARNING, "There is a FORWARD policy"),
        ("-P FORWARD ACCEPT\n" + LIBVIRT, HARDENED, Level.WARNING, "inet hardened"),
        ("", "", Level.OK, "No firewall drops"),
    ],
)
def test_firewalls(iptables: str, nft: str, level: Level, words: str) -> None:
    found = network.judge_firewall(iptables, nft, "kilonovabr")
    assert (found.level, words in found.found) == (level, True), found


def test_dockers_firewall_is_cured_in_dockers_own_chain() -> None:
    assert "iptables -I DOCKER-USER -i kilonovabr" in network.judge_firewall(DOCKER, "", "kilonovabr").cure
