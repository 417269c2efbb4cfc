# SPDX-License-Identifier: Apache-2.0
"""The leases of a NAT network's dnsmasq: each ends with its guest.

An address can be given again while dnsmasq still holds the lease of the guest that had it before. Then dnsmasq does not
answer the new guest ("not using configured address because it is leased to ..."), for up to an hour.  So a lease ends
with its guest: the service sends dnsmasq the DHCPRELEASE that the guest did not send.  That is an ordinary UDP packet
to the bridge's own address, and needs no privilege. Leases are also checked before each guest starts.
"""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import cast

import libvirt
import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import HypervisorError
from kilonova.networks import dhcp
from kilonova.objects.instance import Address, Instance
from kilonova.virt.libvirt.connection.in_doubt import InDoubtCalls
from kilonova.virt.libvirt.network.reservations import facts_of, lookup, withdraw
from kilonova.virt.libvirt.xml.network import NetworkFacts

log = structlog.get_logger(__name__)

PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8)
"""The pause after each DHCPRELEASE, before the leases are read from libvirt: dnsmasq reports them to libvirt through a
separate process."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that dnsmasq has given and that has not ended.  `client_id` is the id that the client sent, empty where
    it sent none."""

    mac: str
    address: str
    client_id: bytes
    server: str
    expires: datetime


Choose = Callable[[Lease, NetworkFacts], bool]
"""Whether a lease must end."""


def in_the_way_of(address: Address) -> Choose:
    """Leases of the address that another guest has taken."""
    return lambda lease, facts: lease.address == address.address and lease.mac != address.mac


def of(address: Address) -> Choose:
    """Leases of the guest with this MAC."""
    return lambda lease, facts: lease.mac == address.mac


def left_behind(lease: Lease, facts: NetworkFacts) -> bool:
    """Leases of guests without a reservation on the network. They exist where an operator has given the network a range
    of addresses to lease."""
    return not facts.has_range and (lease.mac, lease.address) not in {(host.mac, host.address) for host in facts.hosts}


class Leases:
    """Ends the leases of guests that no longer exist on the NAT network called `name`; without a name there is no
    network, and nothing to do."""

    def __init__(self, name: str, control: InDoubtCalls, clock: Clock) -> None:
        self._name, self._control, self._clock = name, control, clock

    async def free(self, instance: Instance) -> None:
        """No other guest has a lease of this guest's addresses. HypervisorError when dnsmasq does not end such a lease:
        the guest would run without a network."""
        for address in self._on_it(instance):
            for lease in (await self._end(in_the_way_of(address)))[:1]:
                raise HypervisorError(
                    f"The address {lease.address} is leased to {lease.mac} until {lease.expires:%Y-%m-%d %H:%M:%S} UTC,"
                    f" and dnsmasq on {lease.server} does not process its release."
                )

    async def give_back(self, instance: Instance) -> None:
        """The network has no reservation for the guest, and no lease of it where dnsmasq can be reached."""
        for address in self._on_it(instance):
            await self._control.run("network", partial(withdraw, address=address))
            _warn(await self._end(of(address)))

    async def sweep(self) -> None:
        """End the leases that were left behind while the service was away, where dnsmasq can be reached."""
        if self._name:
            _warn(await self._end(left_behind))

    def _on_it(self, instance: Instance) -> tuple[Address, ...]:
        return tuple(address for address in instance.addresses if address.network == self._name)

    async def _end(self, choose: Choose) -> tuple[Lease, ...]:
        """The leases that remain."""
        for pause_s in PAUSES_S:
            if not await self._control.run("network", partial(_ask, name=self._name, choose=choose)):
                return ()
            await self._clock.sleep(pause_s)
        return await self._control.run("network", partial(_chosen, name=self._name, choose=choose))


def _warn(left: tuple[Lease, ...]) -> None:
    if left:
        addresses = ", ".join(lease.address for lease in left)
        log.warning("dnsmasq does not process releases of leases of deleted guests", addresses=addresses)


def _chosen(conn: libvirt.virConnect, name: str, choose: Choose) -> tuple[Lease, ...]:
    network = lookup(conn, name)
    if network is None or not network.isActive():
        return ()
    facts = facts_of(network)
    given = cast("list[Mapping[str, object]]", network.DHCPLeases())  # the binding calls it a str
    read = (_parse_lease(lease, facts.gateway) for lease in given)
    return tuple(lease for lease in read if choose(lease, facts))


def _ask(conn: libvirt.virConnect, name: str, choose: Choose) -> tuple[Lease, ...]:
    """Send a DHCPRELEASE for each of these leases."""
    chosen = _chosen(conn, name, choose)
    for lease in chosen:
        packet = dhcp.release(lease.mac, lease.address, lease.server, lease.client_id)
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(packet, (lease.server, dhcp.SERVER_PORT))
        except OSError as exc:  # no route to a daemon on another machine, or a firewall: remaining leases are reported
            log.debug("a DHCPRELEASE was not sent", server=lease.server, error=str(exc))
    return chosen


def _parse_lease(lease: Mapping[str, object], server: str) -> Lease:
    """A lease as libvirt reads it from dnsmasq's leases: MAC and client id are hexadecimal with colons."""
    return Lease(
        mac=str(lease["mac"]),
        address=str(lease["ipaddr"]),
        client_id=_client_id(str(lease["clientid"] or "")),
        server=server,
        expires=datetime.fromtimestamp(int(str(lease["expirytime"])), UTC),
    )


def _client_id(text: str) -> bytes:
    try:
        return bytes.fromhex(text.replace(":", ""))
    except ValueError:  # dnsmasq writes "*" for none
        return b""
