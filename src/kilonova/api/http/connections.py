# SPDX-License-Identifier: Apache-2.0
"""Limits on connections: in all, and for one peer.

A connection takes a slot when it is accepted, before TLS, and frees it when it ends.  If there is no free slot, the
oldest idle connection of the peer with the most connections is closed: a client that opens many idle connections only
harms itself.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

FOR_LOOPBACK = 16
"""Slots reserved for connections from the machine itself: its operator, its health checks."""
TOLD_EVERY = 1000
"""One log line for the first refusal, and one for each so many more."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Connection(Protocol):
    """The connection in a slot."""

    def is_idle(self) -> bool:
        """Whether it serves no request now."""
        ...

    def drop(self) -> None:
        """End it at once."""
        ...


@dataclass(eq=False, slots=True)
class ConnectionSlot:
    """The slot of one connection; `connection` is set once it is open."""

    peer: str
    pool: "Connections"
    connection: Connection | None = None
    taken: bool = True

    def release(self) -> None:
        """Free the slot.  Idempotent."""
        if self.taken:
            self.taken = False
            self.pool.leave(self)


def peer_of(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as sockets give it.  Raises ValueError."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return found if mapped is None else mapped


def networks(words: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks in CIDR form.  Raises ValueError."""
    return tuple(ipaddress.ip_network(word.strip(), strict=False) for word in words)


def is_among(address: str, known: Sequence[Network]) -> bool:
    """Whether one of the networks contains the address; False for text that is not an address."""
    try:
        peer = peer_of(address)
    except ValueError:
        return False
    return any(peer in network for network in known)


@dataclass(slots=True)
class Connections:
    """`most` connections in all, `most_of_peer` of one peer: an IPv4 address, or a /64 of IPv6.  Peers in `trusted`
    (proxies, which serve many clients) have no limit of their own."""

    most: int
    most_of_peer: int
    trusted: tuple[Network, ...] = ()
    slots: dict[str, dict[ConnectionSlot, None]] = field(default_factory=dict[str, dict[ConnectionSlot, None]])
    count: int = 0
    refused: int = 0

    def admit(self, address: str) -> ConnectionSlot | None:
        """A slot for a new connection, or None."""
        peer, limit, most = self._limits(address)
        own = self.slots.get(peer, {})
        if (len(own) >= limit and not self._free_one(own)) or (
            self.count >= most and not self._free_one(max(self.slots.values(), key=len))
        ):
            self._note(address)
            return None
        slot = ConnectionSlot(peer, self)
        self.slots.setdefault(peer, {})[slot] = None
        self.count += 1
        return slot

    def leave(self, slot: ConnectionSlot) -> None:
        """Called by the slot when it is freed."""
        own = self.slots[slot.peer]
        del own[slot]
        self.count -= 1
        if not own:
            del self.slots[slot.peer]

    def _limits(self, address: str) -> tuple[str, int, int]:
        try:
            peer = peer_of(address)
        except ValueError:
            return address, self.most_of_peer, self.most - FOR_LOOPBACK
        limit = self.most if any(peer in network for network in self.trusted) else self.most_of_peer
        most = self.most if peer.is_loopback else self.most - FOR_LOOPBACK
        if peer.version == 6:
            return str(ipaddress.ip_network((int(peer) >> 64 << 64, 64))), limit, most
        return str(peer), limit, most

    def _free_one(self, slots: dict[ConnectionSlot, None]) -> bool:
        """Close the oldest idle connection of these."""
        for slot in slots:
            if slot.connection is not None and slot.connection.is_idle():
                slot.connection.drop()
                slot.release()
                return True
        return False

    def _note(self, address: str) -> None:
        if self.refused % TOLD_EVERY == 0:
            log.warning("connections are refused: there are too many", peer=address, in_all=self.count)
        self.refused += 1
