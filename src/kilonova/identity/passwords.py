# SPDX-License-Identifier: Apache-2.0
"""Passwords: argon2id, one computation at a time, in the fair order of `Turns`."""

import hmac

from kilonova.base.threads import Workers
from kilonova.identity.turns import Asker, Turns

MEMORY_KIB = 47104
TIME_COST = 1
PARALLELISM = 1
"""46 MiB, one pass, parallelism 1: the first choice of the OWASP password storage cheat sheet; about 50 ms of one core.
"""

MAX_BYTES = 4096
"""A longer password is rejected without a computation."""

REMEMBERED = 1024
"""The number of correct passwords that are recognised without argon2."""

NOBODY = Asker()

_NOBODY = (
    f"$argon2id$v=19$m={MEMORY_KIB},t={TIME_COST},p={PARALLELISM}"
    "$a2lsb25vdmEtbm9ib2R5MQ$SQsKPWQD4G1qjtnFJHYEbFW8ZjuPVchuJI/wMs18nx4"
)
# A valid hash of an unknown password: a verification against it takes the same time as any other.


class Passwords:
    """`workers` is a pool of one thread: each call takes 46 MiB, and many logins at once must not exhaust the machine.

    With a `key`, which only this process has, a password that was set or was correct once is recognised by its keyed
    digest: a user with the right password does not wait behind wrong guesses (docs/adr/0014).  Both calls raise
    Overloaded when too many logins wait (see `Turns`).
    """

    def __init__(self, workers: Workers, key: bytes = b"") -> None:
        self._workers, self._key = workers, key
        self._turns = Turns()
        self._right: dict[str, bytes] = {}

    async def hash(self, password: str, asker: Asker = NOBODY) -> str:
        """The encoded argon2 hash, with salt and parameters, for the database."""
        async with self._turns.turn(asker):
            password_hash = await self._workers.run(_hash, password)
        self._remember(password_hash, password)
        return password_hash

    async def verify(self, password_hash: str | None, password: str, asker: Asker = NOBODY) -> bool:
        """Whether the password matches the hash.

        Without a hash (the user does not exist, or has no password) the result is False, after the time of a normal
        verification.
        """
        if len(password) > MAX_BYTES:
            return False
        if password_hash and self._is_known(password_hash, password):
            return True
        async with self._turns.turn(asker):
            matches = await self._workers.run(_verify, password_hash or _NOBODY, password)
        if not (matches and password_hash):
            return False
        self._remember(password_hash, password)
        return True

    def _remember(self, password_hash: str, password: str) -> None:
        if not self._key:
            return
        while len(self._right) >= REMEMBERED:
            del self._right[next(iter(self._right))]
        self._right[password_hash] = self._digest(password_hash, password)

    def _is_known(self, password_hash: str, password: str) -> bool:
        known = self._right.get(password_hash)
        return known is not None and hmac.compare_digest(known, self._digest(password_hash, password))

    def _digest(self, password_hash: str, password: str) -> bytes:
        text = f"{password_hash}\0{password}".encode(errors="surrogatepass")
        return hmac.digest(self._key, text, "sha256")


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
