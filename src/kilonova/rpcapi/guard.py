# SPDX-License-Identifier: Apache-2.0
"""Limits on what one peer may send to an endpoint, and the account of what was refused.

One peer, faulty or hostile, must not delay the others: it has a rate, a number of requests that run at the same time,
and a bounded queue.  A refusal costs no decoding and no transaction.  Refused messages are counted, and logged once per
peer, reason and minute.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import Overloaded
from kilonova.base.metrics import Metrics

log = structlog.get_logger(__name__)

QUIET_S = 60.0
MOST_PEERS = 4096
"""Peers and log lines that are remembered.  A bus without credentials lets a client invent names."""
NO_TURNS = nullcontext()
BUSY = Overloaded("This peer sends more than it may: the message was not handled.")


@dataclass(frozen=True, slots=True)
class Limits:
    """Per peer: messages per second over a longer time, and at once; requests that run at once, and that wait."""

    rate: float = 500.0
    burst: float = 1000.0
    running: int = 8
    waiting: int = 256


@dataclass(slots=True)
class _Peer:
    """The account of one peer.  As a context: one request that waits for its turn, and runs."""

    tokens: float
    at: float
    turns: asyncio.Semaphore
    inside: int = 0

    async def __aenter__(self) -> None:
        self.inside += 1
        try:
            await self.turns.acquire()
        except asyncio.CancelledError:
            self.inside -= 1
            raise

    async def __aexit__(self, *_error: object) -> None:
        self.turns.release()
        self.inside -= 1


class Guard:
    """The limits and the account of one endpoint.  Without `limits` only the account."""

    def __init__(self, clock: Clock, metrics: Metrics, limits: Limits | None = None) -> None:
        self._clock, self._metrics, self._limits = clock, metrics, limits
        self._peers: dict[str, _Peer] = {}
        self._logged: dict[tuple[str, str], float] = {}

    def admits(self, peer: str) -> bool:
        """Whether one more message of the peer is handled.  A refusal is counted."""
        if self._limits is None:
            return True
        found, now = self._peer(peer, self._limits), self._clock.monotonic()
        found.tokens = min(self._limits.burst, found.tokens + (now - found.at) * self._limits.rate)
        found.at = now
        if found.tokens < 1 or found.inside >= self._limits.running + self._limits.waiting:
            self.refused(peer, BUSY.code, "the peer sends more than it may")
            return False
        found.tokens -= 1
        return True

    def turn(self, peer: str) -> AbstractAsyncContextManager[None]:
        """Wait until the peer has fewer requests running than it may, and count as one until the context ends."""
        return NO_TURNS if self._limits is None else self._peer(peer, self._limits)

    def refused(self, peer: str, reason: str, error: str) -> None:
        """Count a refused message, and log it unless a line about this peer and reason is recent."""
        self._metrics.message_refused(reason)
        if self.may_log(peer, reason):
            log.warning("a message was refused", peer=peer[:64], reason=reason, error=error[:300])

    def may_log(self, peer: str, reason: str) -> bool:
        """Whether the last line about this peer and reason is QUIET_S old; if so, the next one is due now."""
        now = self._clock.monotonic()
        last = self._logged.get((peer, reason))
        if last is not None and now - last < QUIET_S:
            return False
        if len(self._logged) >= MOST_PEERS:
            self._logged = {key: at for key, at in self._logged.items() if now - at < QUIET_S}
        if len(self._logged) >= MOST_PEERS:
            return False
        self._logged[peer, reason] = now
        return True

    def _peer(self, peer: str, limits: Limits) -> _Peer:
        found = self._peers.get(peer)
        if found is None:
            if len(self._peers) >= MOST_PEERS:
                self._peers = {name: one for name, one in self._peers.items() if one.inside}
            found = _Peer(limits.burst, self._clock.monotonic(), asyncio.Semaphore(limits.running))
            self._peers[peer] = found
        return found
