# SPDX-License-Identifier: Apache-2.0
"""Tokens that open a console: random, for one server, once, for a time."""

import hashlib
from dataclasses import dataclass

from kilonova.base.clock import Clock
from kilonova.base.errors import Unauthorized
from kilonova.identity.tokens import Claims
from kilonova.objects.ids import InstanceId

TOKEN_BYTES = 32
REMEMBERED = 4096
"""Most tokens that wait to be used; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One session on one server's console, for the bearer of a token; `until_s` is when it must have begun."""

    instance_id: InstanceId
    claims: Claims
    until_s: float


class ConsoleTokens:
    """Kept in memory, by their hash: they go with the process, as the sessions that they open do."""

    def __init__(self, clock: Clock, ttl_s: float) -> None:
        self._clock, self._ttl_s = clock, ttl_s
        self._grants: dict[bytes, Grant] = {}

    def mint(self, instance_id: InstanceId, claims: Claims) -> str:
        """A token for one session on this server's console, to be begun within the time, by whom `claims` speak of."""
        now = self._clock.monotonic()
        self._grants = {key: grant for key, grant in self._grants.items() if grant.until_s > now}
        while len(self._grants) >= REMEMBERED:
            del self._grants[next(iter(self._grants))]
        text = self._clock.new_secret(TOKEN_BYTES)
        self._grants[_key(text)] = Grant(instance_id, claims, now + self._ttl_s)
        return text

    def redeem(self, text: str) -> Grant:
        """What it is for; it is used up by this.  Raises Unauthorized, for every bad one alike."""
        grant = self._grants.pop(_key(text), None)
        if grant is None or grant.until_s <= self._clock.monotonic() or grant.claims.expires_at <= self._clock.now():
            raise Unauthorized("The console token is not valid: it was used, has expired, or does not exist.")
        return grant


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
