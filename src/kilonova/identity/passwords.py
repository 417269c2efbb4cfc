# SPDX-License-Identifier: Apache-2.0
"""Passwords: argon2id, one at a time."""

from kilonova.base.threads import Workers

MEMORY_KIB = 47104
TIME_COST = 1
PARALLELISM = 1
"""46 MiB, one pass, one lane: the OWASP password storage cheat sheet's first choice; about 50 ms of one core."""

MAX_BYTES = 4096
"""A longer password is wrong without a look."""

_NOBODY = (
    f"$argon2id$v=19$m={MEMORY_KIB},t={TIME_COST},p={PARALLELISM}"
    "$a2lsb25vdmEtbm9ib2R5MQ$SQsKPWQD4G1qjtnFJHYEbFW8ZjuPVchuJI/wMs18nx4"
)
# Well formed, the hash of nothing that is known: verifying against it costs what verifying any other does.


class Passwords:
    """`workers` is a pool of one: each call takes 46 MiB, and many log-ins at once must not take the machine."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def hash(self, password: str) -> str:
        """argon2's own text, salt and parameters included, to be stored."""
        return await self._workers.run(_hash, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the one that was hashed.

        A hash of None (there is no such user) is False after the time that any other takes.
        """
        if len(password) > MAX_BYTES:
            return False
        matches = await self._workers.run(_verify, password_hash or _NOBODY, password)
        return matches and password_hash is not None


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
