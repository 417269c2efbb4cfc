# SPDX-License-Identifier: Apache-2.0
"""The delay of the reply to a wrong password: it grows with each failure.  A correct password is accepted without
delay, so that guesses cannot lock a user out."""

from dataclasses import dataclass

from kilonova.base.clock import Clock
from kilonova.identity.turns import Asker

FREE, FREE_OF_PEER = 3, 30
"""The number of wrong passwords of one user, and of one peer, that get a reply without delay: people mistype."""
FIRST_S, MOST_S = 0.25, 8.0
FORGET_S = 900.0
REMEMBERED = 4096
_STEPS = 16


@dataclass(slots=True)
class _Count:
    failures: int
    until_s: float


class Failures:
    """Failure counts per peer, and per peer and user; each count expires FORGET_S after the last failure."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[tuple[str, ...], _Count] = {}

    def delay_s(self, asker: Asker) -> float:
        """Count a failure, and return the delay of its reply in seconds."""
        if asker.trusted:
            return 0.0
        of_user = self._count((asker.peer, asker.user)) - FREE
        of_peer = self._count((asker.peer,)) - FREE_OF_PEER
        beyond = max(of_user, of_peer)
        return 0.0 if beyond <= 0 else min(MOST_S, FIRST_S * 2.0 ** min(beyond - 1, _STEPS))

    def succeeded(self, asker: Asker) -> None:
        """Record that the peer gave the correct password of the user."""
        self._counts.pop((asker.peer, asker.user), None)

    def _count(self, key: tuple[str, ...]) -> int:
        now = self._clock.monotonic()
        found = self._counts.pop(key, None)
        if found is None or found.until_s <= now:
            found = _Count(0, 0.0)
            if len(self._counts) >= REMEMBERED:
                del self._counts[next(iter(self._counts))]
        found.failures += 1
        found.until_s = now + FORGET_S
        self._counts[key] = found
        return found.failures
