# SPDX-License-Identifier: Apache-2.0
"""Who may open which console of this host's guests: tokens of URLs, and tickets of sessions.

Both are kept in memory as hashes, and are used up by their first use.  They end with this process.  Only this host can
give access to its guests' consoles, and to no others (docs/adr/0032).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import HypervisorUnavailable, NotSupported, Unauthorized
from kilonova.base.metrics import Metrics
from kilonova.objects.console import ConsoleKind, ConsoleStream, ConsoleTicket
from kilonova.objects.ids import HostName, InstanceId
from kilonova.rpcapi.method import Ack
from kilonova.rpcapi.to_host import ConsolesAt, FindConsoles, GrantConsole, GrantedConsole, RedeemConsole
from kilonova.virt.capabilities import CONSOLES, SCREENS
from kilonova.virt.driver import ComputeDriver

log = structlog.get_logger(__name__)

TICKET_S = 60.0
MOST_VALID_S = 86_400.0
MOST_UNUSED = 4096
"""Unused tokens, or tickets, on one host; the oldest are removed first."""
SECRET_BYTES = 32

V = TypeVar("V")


class OnceOnly(Generic[V]):
    """Values behind secrets: each is given out once, within its time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[V, float]] = {}

    def put(self, key: str, value: V, valid_s: float) -> None:
        """Keep a value under the hash of a secret.  A repeat changes nothing."""
        now = self._clock.monotonic()
        self._kept = {one: kept for one, kept in self._kept.items() if kept[1] > now}
        while len(self._kept) >= MOST_UNUSED:
            del self._kept[next(iter(self._kept))]
        self._kept.setdefault(key, (value, now + valid_s))

    def take(self, key: str) -> V | None:
        """The value, which is not kept any longer.  None: it was taken, its time is over, or it never existed."""
        value, until = self._kept.pop(key, (None, 0.0))
        return value if until > self._clock.monotonic() else None


@dataclass(frozen=True, slots=True)
class Listening:
    """Where API processes reach this host's consoles; see ConsoleTicket."""

    address: str = ""
    port: int = 0
    certificate: str = ""


class ConsoleDesk:
    """Tokens, tickets and sessions of one host.  `endpoint` returns where its listener is; it raises
    HypervisorUnavailable in one sentence while there is none."""

    def __init__(self, host: HostName, driver: ComputeDriver, clock: Clock, metrics: Metrics) -> None:
        self._host, self._driver, self._clock = host, driver, clock
        self._tokens = OnceOnly[GrantConsole](clock)
        self._tickets = OnceOnly[tuple[InstanceId, ConsoleKind]](clock)
        self.endpoint: Callable[[], Listening] = Listening
        self._metrics = metrics

    async def grant(self, request: GrantConsole, _peer: str = "") -> Ack:
        """Permit one session.  Raises InvalidState, NotSupported, HypervisorError, HypervisorUnavailable."""
        if request.kind == ConsoleKind.VNC:
            await SCREENS.of(self._driver).check(request.instance_id)
        elif request.kind == ConsoleKind.SERIAL:
            CONSOLES.of(self._driver)
        else:
            raise NotSupported(f"This host has no consoles of kind {request.kind.value}: upgrade it.")
        self.endpoint()
        self._tokens.put(request.token_hash, request, min(request.valid_s, MOST_VALID_S))
        return Ack()

    async def redeem(self, request: RedeemConsole, _peer: str = "") -> GrantedConsole:
        """Use a token up.  Raises Unauthorized, HypervisorUnavailable."""
        endpoint = self.endpoint()
        granted = self._tokens.take(request.token_hash)
        if granted is None:
            self.refused("token")
            raise Unauthorized("The console token is not valid: it was used, has expired, or does not exist.")
        secret = self._clock.new_secret(SECRET_BYTES)
        self._tickets.put(hash_of(secret), (granted.instance_id, granted.kind), TICKET_S)
        where = (endpoint.address, endpoint.port, endpoint.certificate)
        ticket = ConsoleTicket(self._host, granted.instance_id, granted.kind, secret, *where)
        return GrantedConsole(ticket, granted.view_only, granted.bearer)

    async def find(self, _request: FindConsoles, _peer: str = "") -> ConsolesAt:
        """Where the listener is.  Raises HypervisorUnavailable."""
        endpoint = self.endpoint()
        return ConsolesAt(endpoint.address, endpoint.port, endpoint.certificate)

    async def open(self, secret: str, instance_id: InstanceId, kind: ConsoleKind) -> ConsoleStream:
        """The session of a ticket, which is used up.  Raises Unauthorized, and as Consoles.open."""
        if self._tickets.take(hash_of(secret)) != (instance_id, kind):
            self.refused("ticket")
            raise Unauthorized(
                "The ticket for the console is not valid: it was used, has expired, or is for another console."
            )
        capability = CONSOLES if kind == ConsoleKind.SERIAL else SCREENS
        return await capability.of(self._driver).open(instance_id)

    def refused(self, reason: str) -> None:
        """Count a refusal."""
        self._metrics.console_refused(reason)
        log.warning("access to a console was refused", reason=reason)


def hash_of(secret: str) -> str:
    """What is kept of a token or a ticket."""
    return hashlib.sha256(secret.encode()).hexdigest()


class LocalConsoles:
    """See kilonova.objects.console.Consoles.  The host is this process, and nothing listens."""

    def __init__(self, host: HostName, desk: ConsoleDesk) -> None:
        self._host, self._desk = host, desk

    async def open(self, ticket: ConsoleTicket) -> ConsoleStream:
        if ticket.host != self._host:
            raise HypervisorUnavailable(f"Host {ticket.host} is another machine, whose consoles cannot be reached.")
        return await self._desk.open(ticket.secret, ticket.instance_id, ticket.kind)
