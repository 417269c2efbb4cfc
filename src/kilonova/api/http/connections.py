# SPDX-License-Identifier: Apache-2.0
"""Who may hold how many connections: in all, and one peer by himself.

A seat is taken when a connection is accepted, before TLS, and given back when it ends.  Where there are none left, the
oldest connection that serves nobody now makes room, of the peer that has most of them: whoever opens many and says
little on them shuts out himself.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

FOR_LOOPBACK = 16
"""Of all seats, those that only the machine itself gets: its operator, its health checks."""
TOLD_EVERY = 1000
"""One line for the first refusal, and for each so many."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Connection(Protocol):
    """What sits there."""

    def is_idle(self) -> bool:
        """It serves no request now."""
        ...

    def drop(self) -> None:
        """End it at once."""
        ...


@dataclass(eq=False, slots=True)
class Seat:
    """One connection's place; `connection` once it is open."""

    peer: str
    room: "Connections"
    connection: Connection | None = None
    taken: bool = True

    def release(self) -> None:
        """More than once is once."""
        if self.taken:
            self.taken = False
            self.room.leave(self)


def peer_of(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as sockets give it.  Raises ValueError."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return found if mapped is None else mapped


def networks(words: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks in CIDR form.  Raises ValueError."""
    return tuple(ipaddress.ip_network(word.strip(), strict=False) for word in words)


def is_among(address: str, known: Sequence[Network]) -> bool:
    """Whether one of the networks holds it; False for what is no address."""
    try:
        peer = peer_of(address)
    except ValueError:
        return False
    return any(peer in network for network in known)


@dataclass(slots=True)
class Connections:
    """`most` in all, `most_of_peer` of one peer: an IPv4 address, or a /64 of IPv6.  Peers among `trusted` (proxies:
    they are many clients) have no limit of their own."""

    most: int
    most_of_peer: int
    trusted: tuple[Network, ...] = ()
    seats: dict[str, dict[Seat, None]] = field(default_factory=dict[str, dict[Seat, None]])
    count: int = 0
    refused: int = 0

    def admit(self, address: str) -> Seat | None:
        """A seat, or None."""
        peer, limit, most = self._limits(address)
        own = self.seats.get(peer, {})
        if (len(own) >= limit and not self._make_room(own)) or (
            self.count >= most and not self._make_room(max(self.seats.values(), key=len))
        ):
            self._note(address)
            return None
        seat = Seat(peer, self)
        self.seats.setdefault(peer, {})[seat] = None
        self.count += 1
        return seat

    def leave(self, seat: Seat) -> None:
        """Called by the seat."""
        own = self.seats[seat.peer]
        del own[seat]
        self.count -= 1
        if not own:
            del self.seats[seat.peer]

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

    def _make_room(self, seats: dict[Seat, None]) -> bool:
        """End the oldest of these that serves nobody."""
        for seat in seats:
            if seat.connection is not None and seat.connection.is_idle():
                seat.connection.drop()
                seat.release()
                return True
        return False

    def _note(self, address: str) -> None:
        if self.refused % TOLD_EVERY == 0:
            log.warning("connections are refused: there are too many", peer=address, in_all=self.count)
        self.refused += 1
