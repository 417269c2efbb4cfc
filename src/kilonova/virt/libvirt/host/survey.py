# SPDX-License-Identifier: Apache-2.0
"""The facts that libvirt reports of itself, read once over a separate connection, for `kilonova doctor`."""

from dataclasses import dataclass
from importlib import metadata

import libvirt

from kilonova.config.network import NetworkSettings
from kilonova.virt.libvirt.connection.opening import Failure, OpenOptions, close_connection, open_connection
from kilonova.virt.libvirt.domain import active, guest, lifecycle
from kilonova.virt.libvirt.host import checks
from kilonova.virt.libvirt.network import filters, network
from kilonova.virt.libvirt.xml import network as network_xml


@dataclass(frozen=True, slots=True)
class MarkedDomain:
    """A domain with our metadata.  `files`: every file of every disk, as far as libvirt names them."""

    instance_id: str
    name: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """Version numbers as libvirt writes them (9.0.0 is 9000000).  `keepalive` is None when it was not requested.
    `starting_up` names guests that are being started, or whose start never ends.  `network` is our NAT network's subnet
    in CIDR form and its bridge, None when it does not exist. `bad_bridges` has a sentence for each declared bridge that
    is missing; `filtered` is whether the daemon has network filters."""

    kind: str
    libvirt: int
    hypervisor: int
    client: int
    binding: str
    keepalive: bool | None
    domains: int
    starting_up: tuple[str, ...]
    network: tuple[str, str] | None
    network_active: bool
    too_old: str | None
    bad_bridges: tuple[str, ...] = ()
    filtered: bool = True
    marked: tuple[MarkedDomain, ...] = ()


def take(options: OpenOptions, settings: NetworkSettings) -> Survey | str:
    """Open, read, close; returns a sentence when that fails. Blocks, without end while the daemon is frozen."""
    opened = open_connection(options, 0, lambda _reason: None, None)
    if isinstance(opened, Failure):
        return opened.message
    try:
        return _read(opened.conn, opened.keepalive if options.keepalive_interval_s else None, settings)
    except libvirt.libvirtError as exc:
        return str(exc)
    finally:
        close_connection(opened)


def _read(conn: libvirt.virConnect, keepalive: bool | None, settings: NetworkSettings) -> Survey:
    subnet, active = _network(conn, settings.name)
    return Survey(
        kind=conn.getType(),
        libvirt=conn.getLibVersion(),
        hypervisor=conn.getVersion(),
        client=libvirt.getVersion(),
        binding=metadata.version("libvirt-python"),
        keepalive=keepalive,
        domains=conn.numOfDomains(),
        starting_up=_starting_up(conn),
        network=subnet,
        network_active=active,
        too_old=checks.too_old(conn),
        bad_bridges=tuple(network.missing_bridges(conn, settings.bridges)),
        filtered=filters.supported(conn),
        marked=_marked(conn),
    )


def _starting_up(conn: libvirt.virConnect) -> tuple[str, ...]:
    found: list[str] = []
    for domain in conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        try:
            if lifecycle.is_starting_up(domain):
                found.append(domain.name())
        except libvirt.libvirtError:  # it was removed between the two calls
            continue
    return tuple(sorted(found))


def _marked(conn: libvirt.virConnect) -> tuple[MarkedDomain, ...]:
    found: list[MarkedDomain] = []
    for domain in conn.listAllDomains(0):
        try:
            if guest.ownership(domain).ours and (definition := active.of(domain)) is not None:
                files = [layer.path for disk in definition.disks for layer in disk.layers]
                found.append(MarkedDomain(domain.UUIDString(), definition.name, tuple(files)))
        except libvirt.libvirtError:  # it was removed between the two calls
            continue
    return tuple(sorted(found, key=lambda one: one.instance_id))


def _network(conn: libvirt.virConnect, name: str) -> tuple[tuple[str, str] | None, bool]:
    try:
        found = conn.networkLookupByName(name)
        facts = network_xml.parse_network(found.XMLDesc(0))
    except libvirt.libvirtError:  # no network, or a daemon without networks
        return None, False
    if facts is None:
        return None, False
    return (f"{facts.gateway}/{facts.netmask}", facts.bridge), bool(found.isActive())
