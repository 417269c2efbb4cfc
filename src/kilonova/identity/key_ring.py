# SPDX-License-Identifier: Apache-2.0
"""The keys of tokens: the key that signs, and those that are still accepted.

In a fleet the keys are in the database, and each API process reads them every REFRESH_S seconds.  A new key signs only
after LEAD_S seconds: every process has read it by then.  The former key is accepted until its last token has expired.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from math import inf
from typing import Protocol

from kilonova.base.clock import Clock
from kilonova.base.errors import DatabaseUnavailable
from kilonova.objects.signing_key import FIRST, SigningKey

MIN_SECRET_BYTES = 32
REFRESH_S = 10.0
LEAD_S = 60.0
"""Longer than several refreshes, and than the usual difference between the clocks of two machines."""


class Keys(Protocol):
    """Where the keys come from.  Both methods raise DatabaseUnavailable while the keys are not known."""

    def signing(self) -> tuple[str, bytes]:
        """The id and the secret of the key that signs now."""
        ...

    def secret_of(self, key_id: str) -> bytes | None:
        """The secret of a key that is accepted now; None: there is no such key."""
        ...


class OneKey:
    """The only key of a one box, at least MIN_SECRET_BYTES long."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(f"a token secret needs at least {MIN_SECRET_BYTES} bytes")
        self._secret = secret

    def signing(self) -> tuple[str, bytes]:
        return FIRST, self._secret

    def secret_of(self, key_id: str) -> bytes | None:
        return self._secret if key_id == FIRST else None


class KeyRing:
    """The keys of a fleet, as they were last read.  `lifetime_s` is the lifetime of a token."""

    def __init__(self, clock: Clock, lifetime_s: float) -> None:
        self._clock = clock
        self._kept = timedelta(seconds=2 * LEAD_S + lifetime_s)
        self._keys: Mapping[str, SigningKey] = {}
        self._read_s: float | None = None

    def replace(self, keys: Iterable[SigningKey]) -> None:
        """Use these keys, which were read from the database just now."""
        self._keys = {key.id: key for key in keys}
        self._read_s = self._clock.monotonic()

    def age_s(self) -> float:
        """Seconds since the keys were read; infinite before the first time."""
        return inf if self._read_s is None else self._clock.monotonic() - self._read_s

    def signing(self) -> tuple[str, bytes]:
        now = self._clock.now()
        accepted = [key for key in self._keys.values() if self._is_accepted(key, now)]
        if not accepted:
            raise _unknown()
        known_by_all = [key for key in accepted if key.created_at + timedelta(seconds=LEAD_S) <= now]
        newest = max(known_by_all or accepted, key=lambda key: (key.created_at, key.id))
        return newest.id, newest.secret

    def secret_of(self, key_id: str) -> bytes | None:
        key = self._keys.get(key_id)
        if key is None and self.age_s() >= LEAD_S:  # there may be a newer key that signs already
            raise _unknown()
        return key.secret if key is not None and self._is_accepted(key, self._clock.now()) else None

    def _is_accepted(self, key: SigningKey, now: datetime) -> bool:
        return key.retired_at is None or now < key.retired_at + self._kept


def _unknown() -> DatabaseUnavailable:
    return DatabaseUnavailable("The keys of tokens are not in the database yet, or cannot be read from it.")
