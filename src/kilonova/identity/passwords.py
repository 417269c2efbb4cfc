# SPDX-License-Identifier: Apache-2.0
"""Passwords: argon2id, one at a time, each asker in turn."""

import hmac

from kilonova.base.threads import Workers
from kilonova.identity.turns import Asker, Turns

MEMORY_KIB = 47104
TIME_COST = 1
PARALLELISM = 1
"""46 MiB, one pass, one lane: the OWASP password storage cheat sheet's first choice; about 50 ms of one core."""

MAX_BYTES = 4096
"""A longer password is wrong without a look."""

REMEMBERED = 1024
"""Right passwords that are known again without argon2."""

NOBODY = Asker()

_NOBODY = (
    f"$argon2id$v=19$m={MEMORY_KIB},t={TIME_COST},p={PARALLELISM}"
    "$a2lsb25vdmEtbm9ib2R5MQ$SQsKPWQD4G1qjtnFJHYEbFW8ZjuPVchuJI/wMs18nx4"
)
# Well formed, the hash of nothing that is known: verifying against it costs what verifying any other does.


class Passwords:
    """`workers` is a pool of one: each call takes 46 MiB, and many log-ins at once must not take the machine.

    With a `key`, of this process only, a password that was set or was right once is known again by its keyed digest:
    who knows the password waits for nobody who guesses it (docs/adr/0014).  Both calls raise Overloaded when too many
    wait (see `Turns`).
    """

    def __init__(self, workers: Workers, key: bytes = b"") -> None:
        self._workers, self._key = workers, key
        self._turns = Turns()
        self._right: dict[str, bytes] = {}

    async def hash(self, password: str, asker: Asker = NOBODY) -> str:
        """argon2's own text, salt and parameters included, to be stored."""
        async with self._turns.turn(asker):
            password_hash = await self._workers.run(_hash, password)
        self._remember(password_hash, password)
        return password_hash

    async def verify(self, password_hash: str | None, password: str, asker: Asker = NOBODY) -> bool:
        """Whether the password is the one that was hashed.

        No hash (there is no such user, or one without a password) is False after the time that any other takes.
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
