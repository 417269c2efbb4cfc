# SPDX-License-Identifier: Apache-2.0
"""Giving an instance addresses on the host that was chosen for it.  Part of the transaction that places it."""

from collections.abc import Mapping
from ipaddress import ip_address

from kilonova.db.readers.addresses import ANY_HOST
from kilonova.db.transaction import Transaction
from kilonova.db.writers import instances as write_instances
from kilonova.db.writers.instances import FLOATING, Reservation
from kilonova.networks.addresses import mac_of
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.instance import Address, Instance
from kilonova.objects.placement import Refusal
from kilonova.objects.service import HostNetwork


def give(
    tx: Transaction,
    host: HostName,
    networks: tuple[HostNetwork, ...],
    instance: Instance,
    wanted: Mapping[str, str],
    project: int | None = None,
) -> tuple[Address, ...] | Refusal:
    """Reserve an address of each network: the requested address in `wanted`, if there is one.  `project` is the number
    of the project, if it has one already.  An instance that returns to a host (or to the same wire) keeps the address
    that it has there; its addresses elsewhere are released.  On another host it gets the same address if the host can
    have it and it is free.  Its NIC keeps its MAC.  After a refusal its addresses are unchanged."""
    before = write_instances.reservations(tx, instance.id) if instance.addresses else frozenset[Reservation]()
    left = list(instance.addresses)
    given: tuple[Address, ...] = ()
    if project is None:
        project = write_instances.number_project(tx, instance.project_id) if networks else 0
    if project is None:
        return Refusal(host, "NetworkFilter", "every number of a project is taken")
    for network in networks:
        one = next((one for one in left if one.network == network.name), None)
        if one is not None:
            left.remove(one)
        if one is None or not reservations_of(host, network, one) <= before:
            mac = one.mac if one is not None else mac_of(instance.id, len(given), project)
            same = "" if one is None or network.name in wanted else one.address
            one = _take(tx, host, network, instance.id, mac, same) if same else None
            one = one or _take(tx, host, network, instance.id, mac, wanted.get(network.name, ""))
        if one is None:
            write_instances.release_addresses(tx, instance.id, but=before)
            return Refusal(host, "NetworkFilter", _none_free(network, wanted))
        given += (one,)
    if before:
        pairs = zip(networks, given, strict=True)
        kept = frozenset(reserved for network, one in pairs for reserved in reservations_of(host, network, one))
        write_instances.release_addresses(tx, instance.id, but=kept)
    return given


def _none_free(network: HostNetwork, wanted: Mapping[str, str]) -> str:
    if network.name in wanted:
        return f"address {wanted[network.name]} of {network.name} is taken"
    return f"no address of {network.name} is free"


def reservations_of(host: HostName, network: HostNetwork, address: Address) -> frozenset[Reservation]:
    """The keys of an address in the table of those that are taken."""
    fixed = Reservation(ANY_HOST if network.shared else host, network.wire, int(ip_address(address.address)))
    if not address.floating:
        return frozenset({fixed})
    return frozenset({fixed, Reservation(host, FLOATING, int(ip_address(address.floating)))})


def _take(
    tx: Transaction, host: HostName, network: HostNetwork, instance_id: InstanceId, mac: str, wanted: str
) -> Address | None:
    if not wanted:
        free = write_instances.take_address(tx, host, network, instance_id)
    else:
        free = wanted if write_instances.take_wanted(tx, host, network, instance_id, wanted) else None
    if free is None:
        return None
    return Address(
        network=network.name,
        address=free,
        mac=mac,
        prefix=network.prefix,
        gateway=network.gateway,
        dns=network.dns,
        mtu=network.mtu,
        dhcp=network.backend != "bridge",
        floating=write_instances.take_loopback(tx, host, instance_id) if network.ssh_port else "",
    )
