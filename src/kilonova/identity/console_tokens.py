# SPDX-License-Identifier: Apache-2.0
"""Tokens that open a console: random, for one server, valid once and for a limited time."""

import hashlib
from dataclasses import dataclass

from kilonova.base.clock import Clock
from kilonova.base.errors import Unauthorized
from kilonova.identity.tokens import Claims
from kilonova.objects.ids import InstanceId

TOKEN_BYTES = 32
REMEMBERED = 4096
"""The maximum number of unused tokens; the oldest are removed first."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One session on one server's console, for the bearer of a token; it must begin before `until_s`."""

    instance_id: InstanceId
    claims: Claims
    until_s: float


class ConsoleTokens:
    """Tokens are kept in memory, as hashes: they end with the process, as the sessions that they open do."""

    def __init__(self, clock: Clock, ttl_s: float) -> None:
        self._clock, self._ttl_s = clock, ttl_s
        self._grants: dict[bytes, Grant] = {}

    def mint(self, instance_id: InstanceId, claims: Claims) -> str:
        """A token for one session on this server's console, which the subject of `claims` must begin within the time
        limit."""
        now = self._clock.monotonic()
        self._grants = {key: grant for key, grant in self._grants.items() if grant.until_s > now}
        while len(self._grants) >= REMEMBERED:
            del self._grants[next(iter(self._grants))]
        text = self._clock.new_secret(TOKEN_BYTES)
        self._grants[_key(text)] = Grant(instance_id, claims, now + self._ttl_s)
        return text

    def redeem(self, text: str) -> Grant:
        """Use the token up, and return its session.  Raises Unauthorized, with the same message for every invalid
        token."""
        grant = self._grants.pop(_key(text), None)
        if grant is None or grant.until_s <= self._clock.monotonic() or grant.claims.expires_at <= self._clock.now():
            raise Unauthorized("The console token is not valid: it was used, has expired, or does not exist.")
        return grant


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
