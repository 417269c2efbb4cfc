# SPDX-License-Identifier: Apache-2.0
"""Periodic work that is done once for all conductors: each round is claimed in the database.

Any conductor may claim the next round.  So a conductor that ends or stands still is replaced after one interval, and
nobody is the leader.  The claim is a compare-and-set by the clock of the database, so the clocks of the conductors do
not matter.  A round must be harmless if it is done twice: a conductor that stands still after its claim does its round
late, beside a newer one.
"""

from collections.abc import Awaitable, Callable, Iterable

from kilonova.base.clock import Clock
from kilonova.db.engine import Database
from kilonova.db.writers import rounds

EARLY = 0.9
"""The part of the interval after which the next round may begin: conductors look with a jitter."""
WATCHES = "watches"


class Rounds:
    """`process_id` names this conductor's process.  With `alone` there is no other conductor, and nothing is recorded.
    The works `watches` have the same interval and share their claims, so that each interval costs one write."""

    def __init__(
        self, db: Database, clock: Clock, process_id: str, *, alone: bool, watches: Iterable[str] = ()
    ) -> None:
        self._db, self._clock, self._process_id, self._alone = db, clock, process_id, alone
        self._watches = frozenset(watches)
        self._granted: dict[str, float] = {}
        """The watches whose round this conductor has claimed and not done yet, with the time of the claim."""

    async def claim(self, name: str, interval_s: float) -> bool:
        """Whether this conductor does the next round."""
        if self._alone:
            return True
        if name not in self._watches:
            return await self._claim(name, interval_s)
        now = self._clock.monotonic()
        if now - self._granted.get(name, -interval_s * 2) >= interval_s * 2:
            if not await self._claim(WATCHES, interval_s):
                return False
            self._granted = dict.fromkeys(self._watches, now)
        del self._granted[name]
        return True

    async def _claim(self, name: str, interval_s: float) -> bool:
        return await self._db.write(rounds.claim, name, self._process_id, interval_s * EARLY, self._clock.now())

    def claimed(
        self, name: str, interval_s: float, work: Callable[[], Awaitable[None]]
    ) -> Callable[[], Awaitable[None]]:
        """`work` as a periodic task that does only the rounds that this conductor has claimed."""

        async def round_if_claimed() -> None:
            if await self.claim(name, interval_s):
                await work()

        return round_if_claimed
