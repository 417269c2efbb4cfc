# SPDX-License-Identifier: Apache-2.0
"""The leases that a NAT network's dnsmasq has given: each ends with its guest.

An address can be given again while dnsmasq still holds the lease of the guest that had it before.  It then answers the
new guest nothing ("not using configured address because it is leased to ..."), for up to an hour.  So a lease ends with
its guest: the service sends dnsmasq the DHCPRELEASE that the guest did not send.  That is an ordinary UDP packet to the
bridge's own address, and needs no right.  It is looked at before each guest starts, too.
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
"""After each DHCPRELEASE, before libvirt is asked what is leased: dnsmasq tells libvirt by a process of its own."""


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that dnsmasq has given and that has not ended.  `client_id` is what the client called itself, empty
    where it did not."""

    mac: str
    address: str
    client_id: bytes
    server: str
    expires: datetime


Choose = Callable[[Held, NetworkFacts], bool]
"""Whether a lease must end."""


def in_the_way_of(address: Address) -> Choose:
    """Leases of the address that another guest has taken."""
    return lambda held, facts: held.address == address.address and held.mac != address.mac


def of(address: Address) -> Choose:
    """Leases of the guest with this MAC."""
    return lambda held, facts: held.mac == address.mac


def left_behind(held: Held, facts: NetworkFacts) -> bool:
    """A lease of a guest that the network keeps no address for.  Where somebody has given the network a range of
    addresses to lease, there may be such guests."""
    return not facts.has_range and (held.mac, held.address) not in {(host.mac, host.address) for host in facts.hosts}


class Leases:
    """Keeps the leases of the NAT network called `name` to the guests that live; without a name there is none, and
    nothing to do."""

    def __init__(self, name: str, control: InDoubtCalls, clock: Clock) -> None:
        self._name, self._control, self._clock = name, control, clock

    async def free(self, instance: Instance) -> None:
        """Nobody else holds the guest's addresses.  HypervisorError when dnsmasq does not let go of such a lease: the
        guest would be up without a network."""
        for address in self._on_it(instance):
            for held in (await self._end(in_the_way_of(address)))[:1]:
                raise HypervisorError(
                    f"The address {held.address} is leased to {held.mac} until {held.expires:%Y-%m-%d %H:%M:%S} UTC, "
                    f"and dnsmasq on {held.server} does not hear that it is given back."
                )

    async def give_back(self, instance: Instance) -> None:
        """The network keeps nothing for the guest, and holds no lease of it where dnsmasq can be told."""
        for address in self._on_it(instance):
            await self._control.run("network", partial(withdraw, address=address))
            _warn(await self._end(of(address)))

    async def sweep(self) -> None:
        """No lease is held that was left behind while the service was away, where dnsmasq can be told."""
        if self._name:
            _warn(await self._end(left_behind))

    def _on_it(self, instance: Instance) -> tuple[Address, ...]:
        return tuple(address for address in instance.addresses if address.network == self._name)

    async def _end(self, choose: Choose) -> tuple[Held, ...]:
        """Those that are left."""
        for pause_s in PAUSES_S:
            if not await self._control.run("network", partial(_ask, name=self._name, choose=choose)):
                return ()
            await self._clock.sleep(pause_s)
        return await self._control.run("network", partial(_chosen, name=self._name, choose=choose))


def _warn(left: tuple[Held, ...]) -> None:
    if left:
        addresses = ", ".join(held.address for held in left)
        log.warning("dnsmasq does not hear that leases of guests that are gone are given back", addresses=addresses)


def _chosen(conn: libvirt.virConnect, name: str, choose: Choose) -> tuple[Held, ...]:
    network = lookup(conn, name)
    if network is None or not network.isActive():
        return ()
    facts = facts_of(network)
    given = cast("list[Mapping[str, object]]", network.DHCPLeases())  # the binding calls it a str
    read = (_held(lease, facts.gateway) for lease in given)
    return tuple(held for held in read if choose(held, facts))


def _ask(conn: libvirt.virConnect, name: str, choose: Choose) -> tuple[Held, ...]:
    """dnsmasq has been told that these are given back."""
    chosen = _chosen(conn, name, choose)
    for held in chosen:
        packet = dhcp.release(held.mac, held.address, held.server, held.client_id)
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(packet, (held.server, dhcp.SERVER_PORT))
        except OSError as exc:  # no route to a daemon that is elsewhere, a firewall: what is left is told
            log.debug("a DHCPRELEASE was not sent", server=held.server, error=str(exc))
    return chosen


def _held(lease: Mapping[str, object], server: str) -> Held:
    """Of what libvirt reads from dnsmasq's leases: MAC and client id are hexadecimal with colons."""
    return Held(
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
