# SPDX-License-Identifier: Apache-2.0
"""Passwords: argon2id, one at a time, and only so many waiting."""

from collections.abc import Callable
from typing import Any, TypeVar

from kilonova.base.errors import Overloaded
from kilonova.base.threads import Workers

T = TypeVar("T")

MEMORY_KIB = 47104
TIME_COST = 1
PARALLELISM = 1
"""46 MiB, one pass, one lane: the OWASP password storage cheat sheet's first choice; about 50 ms of one core."""

MAX_BYTES = 4096
"""A longer password is wrong without a look."""

MOST_WAITING = 40
"""About two seconds of work.  Whoever comes then is told to come again: a client gives up on a longer queue anyway, and
guessing passwords must not make everybody else wait without end."""

_NOBODY = (
    f"$argon2id$v=19$m={MEMORY_KIB},t={TIME_COST},p={PARALLELISM}"
    "$a2lsb25vdmEtbm9ib2R5MQ$SQsKPWQD4G1qjtnFJHYEbFW8ZjuPVchuJI/wMs18nx4"
)
# Well formed, the hash of nothing that is known: verifying against it costs what verifying any other does.


class Passwords:
    """`workers` is a pool of one: each call takes 46 MiB, and many log-ins at once must not take the machine.

    Both calls raise Overloaded, at once, when MOST_WAITING wait already.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """argon2's own text, salt and parameters included, to be stored."""
        return await self._run(_hash, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the one that was hashed.

        No hash (there is no such user, or one without a password) is False after the time that any other takes.
        """
        if len(password) > MAX_BYTES:
            return False
        matches = await self._run(_verify, password_hash or _NOBODY, password)
        return matches and bool(password_hash)

    async def _run(self, fn: Callable[..., T], *args: Any) -> T:
        if self._waiting >= MOST_WAITING:
            raise Overloaded("Too many log-ins wait already: try again in some seconds.")
        self._waiting += 1
        try:
            return await self._workers.run(fn, *args)
        finally:
            self._waiting -= 1


def _hash(password: str) -> str:
    # Imported late here and below: most starts need no password.
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=PARALLELISM).hash(password)


def _verify(password_hash: str, password: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
