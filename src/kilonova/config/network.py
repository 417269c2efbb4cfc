# SPDX-License-Identifier: Apache-2.0
"""[network] and [network:NAME]: the networks that a host gives its guests."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from oslo_config import cfg

GROUP = "network"
OPTIONS = [
    cfg.StrOpt(
        "backend",
        default="auto",
        choices=["auto", "nat", "user", "bridge"],
        help="The default network of a guest. nat: a libvirt network of our own (system daemon); user: QEMU's "
        "user-mode network; bridge: the first of `bridges`; auto: nat or user, by connection.",
    ),
    cfg.StrOpt("name", default="kilonova", help="Name of the nat or user network, as servers show it."),
    cfg.StrOpt("cidr", default="", help="Subnet of guests; empty: the first free subnet that no route overlaps."),
    cfg.ListOpt("dns", default=[], help="Name servers for guests."),
    cfg.PortOpt(
        "ssh_port",
        default=2222,
        help="user: the port of each guest's own loopback address that leads to its port 22; 0: none.",
    ),
    cfg.BoolOpt(
        "isolate_projects",
        default=True,
        help="nat: guests of different projects neither receive each other's traffic nor reach each other. A guest "
        "keeps the setting of its last start.",
    ),
    cfg.ListOpt("bridges", default=[], help="Networks on bridges of this host; each has a section [network:NAME]."),
]

NOT_FOR_GUESTS = 16
"""The first addresses of the subnet of our own network, which guests do not get."""

LONGEST_PREFIX = 27
"""The longest prefix of that subnet: a smaller subnet contains only those addresses and its broadcast address."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

BRIDGE_OPTIONS = [
    cfg.StrOpt("bridge", default="", help="The host's bridge. It must exist before guests start."),
    cfg.StrOpt("cidr", default="", help="The subnet of the LAN, such as 192.0.2.0/24."),
    cfg.StrOpt(
        "range", default="", help="Addresses that the service assigns, FIRST-LAST. No DHCP server may assign them."
    ),
    cfg.StrOpt("gateway", default="", help="The LAN's router; empty: guests get no default route."),
    cfg.ListOpt("dns", default=[], help="Name servers for guests."),
    cfg.StrOpt(
        "physical",
        default="",
        help="The wire behind the bridge: bridges with the same name here, on any host, are one layer 2 network. "
        "Empty: the network's own name.",
    ),
    cfg.IntOpt("mtu", default=1500, min=576, max=65535, help="Bytes of the largest packet on the LAN."),
]


@dataclass(frozen=True, slots=True)
class BridgeNetwork:
    """A declared network on a bridge.  Addresses are IPv4 text; `gateway` and `physical` may be empty."""

    name: str
    bridge: str
    cidr: str
    first: str
    last: str
    gateway: str
    dns: tuple[str, ...]
    mtu: int
    physical: str = ""


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """`cidr` in IPv4 text or empty.  With backend "bridge" there is at least one of `bridges`."""

    backend: str
    name: str
    cidr: str
    dns: tuple[str, ...]
    ssh_port: int
    isolate_projects: bool
    bridges: tuple[BridgeNetwork, ...]


def group_of(name: str) -> str:
    """The section that describes a network on a bridge."""
    return f"{GROUP}:{name}"


def settings(group: cfg.ConfigOpts.GroupAttr, bridges: Sequence[BridgeNetwork]) -> NetworkSettings:
    """The frozen settings of the group.  Raises ValueError in one sentence."""
    names = [bridge.name for bridge in bridges]
    if group.backend == "bridge" and not names:
        raise ValueError("[network] backend is bridge, and bridges names none.")
    offered = names if group.backend == "bridge" else [group.name, *names]
    for name in offered:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"[network]: {name!r} is not a valid name of a network: letters, digits, dot, hyphen and underscore."
            )
    twice = sorted({name for name in offered if offered.count(name) > 1})
    if twice:
        raise ValueError(f"[network]: there are two networks called {twice[0]}.")
    if group.backend != "bridge":
        _check_cidr(group.cidr)
    _check_dns(f"[{GROUP}]", group.dns)
    return NetworkSettings(
        backend=group.backend,
        name=group.name,
        cidr=group.cidr,
        dns=tuple(group.dns),
        ssh_port=group.ssh_port,
        isolate_projects=group.isolate_projects,
        bridges=tuple(bridges),
    )


def _check_cidr(text: str) -> None:
    """Check that the subnet of our own network has addresses for guests."""
    if not text:
        return
    try:
        net = ipaddress.IPv4Network(text)
    except ValueError as exc:
        raise ValueError(f"[{GROUP}] cidr: {exc}.") from exc
    if net.prefixlen > LONGEST_PREFIX:
        raise ValueError(
            f"[{GROUP}] cidr: {net} has no address for a guest, since the first {NOT_FOR_GUESTS} are not given: "
            f"/{LONGEST_PREFIX} is the smallest."
        )
    if net.is_loopback or net.is_multicast or net.is_link_local or net.network_address.is_unspecified:
        raise ValueError(f"[{GROUP}] cidr: no guest can have an address of {net}.")


def _check_dns(where: str, servers: Sequence[str]) -> None:
    for server in servers:
        try:
            ipaddress.IPv4Address(server)
        except ValueError as exc:
            raise ValueError(f"{where} dns: {server!r} is not an IPv4 address.") from exc


def bridge_settings(name: str, group: cfg.ConfigOpts.GroupAttr) -> BridgeNetwork:
    """The frozen settings of one [network:NAME].  Raises ValueError in one sentence."""
    where = f"[{group_of(name)}]"
    missing = [option for option in ("bridge", "cidr", "range") if not group[option]]
    if missing:
        raise ValueError(f"{where} needs {missing[0]}.")
    try:
        net = ipaddress.IPv4Network(group.cidr)
        ends = [ipaddress.IPv4Address(end.strip()) for end in group.range.split("-")]
        gateway = ipaddress.IPv4Address(group.gateway) if group.gateway else None
    except ValueError as exc:
        raise ValueError(f"{where}: {exc}.") from exc
    if len(ends) != 2 or ends[0] > ends[1]:
        raise ValueError(f"{where}: range is {group.range}, and should be FIRST-LAST.")
    usable = (net.network_address + 1, net.broadcast_address - 1)
    if not usable[0] <= ends[0] <= ends[1] <= usable[1]:
        raise ValueError(f"{where}: the range {group.range} does not lie within {net}.")
    if gateway is not None and (gateway not in net or ends[0] <= gateway <= ends[1]):
        raise ValueError(f"{where}: the gateway {gateway} must lie within {net} and outside of the range.")
    _check_dns(where, group.dns)
    if group.physical and not _NAME.fullmatch(group.physical):
        raise ValueError(
            f"{where} physical: {group.physical!r} is not a valid name: letters, digits, dot, hyphen and underscore."
        )
    return BridgeNetwork(
        name=name,
        bridge=group.bridge,
        cidr=str(net),
        first=str(ends[0]),
        last=str(ends[1]),
        gateway=group.gateway,
        dns=tuple(group.dns),
        mtu=group.mtu,
        physical=group.physical,
    )
