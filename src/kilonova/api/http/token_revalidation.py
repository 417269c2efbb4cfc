# SPDX-License-Identifier: Apache-2.0
"""Whether a token is still valid: its user and project are enabled, its roles are still assigned, and it was not
revoked.

The database is read once per token and the result is cached for STANDING_S seconds, so that a request needs no look-up.
A change through this process has effect at once; a change through another process, after that time.
"""

import asyncio
import contextlib
from dataclasses import dataclass

from kilonova.base.clock import Clock
from kilonova.base.errors import Unauthorized
from kilonova.db.engine import Database
from kilonova.db.readers import identity as readers
from kilonova.identity.roles import with_implied
from kilonova.identity.tokens import Claims

STANDING_S = 5.0
REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class _Known:
    """`roles` None: the token is no longer valid."""

    roles: tuple[str, ...] | None
    until_s: float


class TokenRevalidationCache:
    """See the module; one per process."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self._known: dict[str, _Known] = {}
        self._changed = asyncio.Event()

    async def roles_of(self, claims: Claims) -> tuple[str, ...]:
        """The token's roles, without those that its user no longer has.  Raises Unauthorized if the token is no longer
        valid.

        Roles that the user was given meanwhile are not among them: they come with the next token.
        """
        known = self._known.get(claims.audit_ids[0])
        if known is None or known.until_s <= self._clock.monotonic():
            known = await self._look(claims)
        if known.roles is None:
            raise Unauthorized("The token is no longer valid.")
        return known.roles

    def forget(self) -> None:
        """Call this after each change of users, projects, roles, credentials or tokens."""
        # A new dict, so that a lookup in progress stores its result in the old one.
        self._known = {}
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, within_s: float = STANDING_S) -> None:
        """Wait until something may have changed: at once for a change in this process, else `within_s` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._changed.wait()

    async def _look(self, claims: Claims) -> _Known:
        remember, subject = self._known, claims.subject
        until_s = self._clock.monotonic() + STANDING_S
        credential_id = None if subject.credential is None else subject.credential.id
        token = readers.TokenFacts(
            subject.user_id, subject.project_id, credential_id, claims.audit_ids[0], subject.scope
        )
        found = await self._db.read(readers.validity_of_token, token, self._clock.now())
        roles = None
        if found is not None and found.tokens_from == claims.tokens_from:
            held = set(with_implied(found.roles))
            kept = tuple(role for role in subject.roles if role in held)
            roles = kept if kept or not (subject.project_id or subject.scope) else None
        known = _Known(roles, until_s)
        if len(remember) >= REMEMBERED:
            del remember[next(iter(remember))]
        remember[claims.audit_ids[0]] = known
        return known
