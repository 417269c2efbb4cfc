# SPDX-License-Identifier: Apache-2.0
"""Checks of the path of guest packets: subnets, forwarding, firewalls, dnsmasq."""

import ipaddress
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from kilonova.doctor.finding import Finding, error, note, ok, warning
from kilonova.doctor.hypervisor import connect, socket_path
from kilonova.doctor.subject import Subject
from kilonova.doctor.tool import output_of
from kilonova.networks.addresses import choose_subnet
from kilonova.virt.libvirt.host.survey import Survey
from kilonova.virt.libvirt.network.network import bridge_of, read_routes

SBIN = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def subnet(subject: Subject, survey: Survey) -> Finding:
    """Check that the guest subnet does not overlap a route of the host."""
    return _subnet(subject, survey.network)


def subnet_by_routes(subject: Subject) -> Finding:
    """The same from the kernel's routes, when libvirt does not answer: an active network has a route on its bridge."""
    return _subnet(subject, _running(subject))


def _subnet(subject: Subject, existing: tuple[str, str] | None) -> Finding:
    if subject.backend != "nat":
        return ok("network-subnet", "There is no NAT network here: no subnet is chosen.")
    return judge_subnet(subject.settings.network.cidr, existing, _routes(subject))


def _routes(subject: Subject) -> list[tuple[str, str]]:
    return read_named_routes(subject.places.proc / "net/route")


def _running(subject: Subject) -> tuple[str, str] | None:
    """Subnet and bridge of our network, from the routes; None when the network is not active."""
    bridge = bridge_of(subject.settings.network.name)
    return next(((route, bridge) for interface, route in _routes(subject) if interface == bridge), None)


def read_named_routes(path: Path) -> list[tuple[str, str]]:
    """Interface and CIDR of each route.  Raises OSError."""
    lines = path.read_text(encoding="ascii").splitlines()[1:]
    return list(zip((line.split()[0] for line in lines), read_routes(path), strict=True))


def judge_subnet(configured: str, existing: tuple[str, str] | None, routes: Sequence[tuple[str, str]]) -> Finding:
    """See `subnet`.  `existing` is the subnet and bridge of our network if it exists; its route does not count as a
    route of the host.  `routes`: interface and CIDR."""
    name = "network-subnet"
    bridge = existing[1] if existing else ""
    others = [(interface, route) for interface, route in routes if interface != bridge]
    wanted = existing[0] if existing else configured
    if not wanted:
        free = choose_subnet([route for _, route in others])
        if free is None:
            cure = "Set [network] cidr to an unused subnet."
            return error(name, "Every subnet that Kilonova can choose overlaps a route.", cure)
        return ok(name, f"The network does not exist yet; it will be {free}, which overlaps no route.", cidr=free)
    net = ipaddress.ip_network(wanted, strict=False)
    for interface, route in others:
        other = ipaddress.ip_network(route, strict=False)
        if other.prefixlen > 0 and net.overlaps(other):
            message = f"The guest subnet {net} overlaps the route {other} of {interface}: one of them is unreachable."
            cure = "Set [network] cidr to another one"
            if existing:
                cure += ", and after the last guest: virsh net-destroy and net-undefine this network"
            return error(name, message, f"{cure}.", cidr=str(net), route=str(other), interface=interface)
    return ok(name, f"The guest subnet {net} overlaps no route.", cidr=str(net))


def bridges(subject: Subject, survey: Survey) -> Finding:
    """Check that the bridges of declared networks exist, and that libvirt can filter guest packets."""
    name, declared = "bridges", subject.settings.network.bridges
    if survey.bad_bridges:
        cure = "Create it (ip link add NAME type bridge), or correct [network:NAME] bridge."
        return error(name, " ".join(survey.bad_bridges), cure, missing=len(survey.bad_bridges))
    if not survey.filtered and (declared or subject.backend == "nat"):
        message = "This libvirt has no network filters: a guest can send packets with addresses of others."
        return warning(name, message, "Install the nwfilter driver of libvirt, and ebtables.")
    if not declared:
        return ok(name, "No network on a bridge is declared.")
    return ok(name, f"The declared bridges exist: {', '.join(one.bridge for one in declared)}.", count=len(declared))


def host_loopback(subject: Subject) -> Finding:
    """Check that guests cannot reach services on the loopback address of the host."""
    name = "host-loopback"
    if subject.backend != "user":
        return ok(name, "No guest is on a user-mode network.")
    message = "Guests can reach 127.0.0.1 of this host by the address of their gateway: QEMU's user-mode network "
    message += "cannot prevent this."
    return warning(name, message, "Give guests that you do not trust a NAT network: connection_uri = qemu:///system.")


def forwarding(subject: Subject, survey: Survey) -> Finding:
    """Check that the host forwards packets."""
    return _forwarding(subject, survey.network_active)


def forwarding_by_routes(subject: Subject) -> Finding:
    """The same from the kernel, when libvirt does not answer."""
    return _forwarding(subject, _running(subject) is not None)


def _forwarding(subject: Subject, active: bool) -> Finding:
    if subject.backend == "nat" and lives_elsewhere(subject):
        return note("ip-forward", "Not checked: the daemon runs in another network namespace.")
    value = (subject.places.proc / "sys/net/ipv4/ip_forward").read_text(encoding="ascii").strip()
    return judge_forwarding(value == "1", subject.backend, active)


def lives_elsewhere(subject: Subject) -> bool:
    """Whether the daemon runs in another network namespace; False when that cannot be read."""
    path = socket_path(subject)
    if path is None:
        return False
    try:
        theirs = os.stat(subject.places.proc / str(connect(path, subject.places.proc).pid) / "ns/net")
        return theirs.st_ino != os.stat(subject.places.proc / "self/ns/net").st_ino
    except OSError:
        return False


def judge_forwarding(on: bool, backend: str, active: bool) -> Finding:
    """See `forwarding`.  libvirt enables it when it starts a NAT network."""
    name, facts = "ip-forward", {"on": on, "network_active": active}
    if backend != "nat":
        return ok(name, "Only a NAT network needs forwarding, and there is none here.", **facts)
    if on:
        return ok(name, "The host forwards packets.", **facts)
    if not active:
        return note(
            name, "The host does not forward packets yet; libvirt enables it when it starts the network.", "", **facts
        )
    cure = "sysctl -w net.ipv4.ip_forward=1, and permanently in /etc/sysctl.d/"
    return error(
        name, "The host does not forward packets while the network is active: guests have no connection.", cure, **facts
    )


def firewall(subject: Subject) -> Finding:
    """Check that no firewall drops the packets of guests."""
    name = "firewall"
    if subject.backend != "nat":
        return ok(name, "Only a NAT network needs forwarding, and there is none here.")
    tables = output_of(["iptables", "-S", "FORWARD"], SBIN), output_of(["nft", "list", "chains"], SBIN)
    if tables == (None, None):
        message = "The firewall could not be read: iptables and nft are not installed, or fail."
        return note(name, message, "Run the command as root.", uid=os.geteuid())
    bridge = bridge_of(subject.settings.network.name)
    return judge_firewall(tables[0] or "", tables[1] or "", bridge)


def judge_firewall(iptables: str, nft: str, bridge: str) -> Finding:
    """See `firewall`.  `iptables` is `iptables -S FORWARD`, `nft` is `nft list chains`."""
    name = "firewall"
    rules = [line.split() for line in iptables.splitlines()]
    drops = any(words[:3] in (["-P", "FORWARD", "DROP"], ["-P", "FORWARD", "REJECT"]) for words in rules)
    others = foreign_drops(nft)
    docker = any("DOCKER" in word for words in rules for word in words)
    # libvirt adds its jump before the policy; without it the policy drops all guest packets.
    lets = any("LIBVIRT_FWX" in words or "LIBVIRT_FWO" in words or bridge in words for words in rules)
    facts = {"policy_drop": drops, "docker": docker, "libvirt_chains": lets, "nft_drops": others}
    if drops and not lets:
        who = "Docker has set" if docker else "There is"
        message = f"{who} a FORWARD policy that drops packets, and no rule of libvirt is before it."
        chain = "DOCKER-USER" if docker else "FORWARD"
        cure = f"iptables -I {chain} -i {bridge} -j ACCEPT && iptables -I {chain} -o {bridge} -j ACCEPT"
        return warning(
            name,
            f"{message} An active libvirt network adds its rule; without it guests have no connection.",
            cure,
            **facts,
        )
    if others:
        message = f"The nftables table {others[0]} drops forwarded packets; the rules of libvirt are in another table."
        cure = f"Accept {bridge} in that chain: nft list chains shows it."
        return warning(name, message, cure, **facts)
    if drops:
        return ok(
            name, "The FORWARD policy drops packets, and the rules of libvirt accept guest packets before it.", **facts
        )
    return ok(name, "No firewall drops forwarded packets.", **facts)


def foreign_drops(nft: str) -> list[str]:
    """Tables of `nft list chains` with a forward chain that drops by policy, except those of iptables and of IPv6,
    which guests do not have."""
    table, found = "", list[str]()
    for line in map(str.strip, nft.splitlines()):
        if line.startswith("table "):
            table = line.removeprefix("table ").rstrip(" {")
        elif "hook forward" in line and "policy drop" in line and table != "ip filter" and not table.startswith("ip6 "):
            found.append(table)
    return found


def dnsmasq(subject: Subject) -> Finding:
    """Check that dnsmasq, the DHCP server for guests, is installed."""
    if subject.backend != "nat":
        return ok("dnsmasq", "Only a NAT network needs dnsmasq, and there is none here.")
    found = shutil.which("dnsmasq", path=SBIN)
    if found is None:
        message = "dnsmasq is not installed: libvirt cannot start a NAT network without it."
        return error("dnsmasq", message, "apt-get install dnsmasq-base")
    return ok("dnsmasq", f"dnsmasq is installed ({found}).", path=found)
