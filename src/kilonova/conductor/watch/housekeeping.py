# SPDX-License-Identifier: Apache-2.0
"""Records that are not needed any more are purged, by age and by number.

The work is done in small transactions with a pause after each, so that other writes do not wait long, and it can end
after each of them: the next round continues.  A round first reads what is due; without anything due it writes nothing.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import structlog

from kilonova.base.clock import Clock
from kilonova.base.tasks import Supervisor
from kilonova.conductor.watch.rounds import Rounds
from kilonova.config.database import Retention
from kilonova.db import space
from kilonova.db.engine import Database
from kilonova.db.readers.purge import Counts, Due, Kind, due
from kilonova.db.writers import purge as write

log = structlog.get_logger(__name__)

INTERVAL_S = 60.0
WORK_S = 45.0
"""How long one round begins new transactions: less than the time after which another conductor may begin a round."""
PAUSE_S = 0.05
"""The pause after each transaction, for other writes."""


class Purge:
    """One round of purging.  `counts` is what it has purged so far."""

    def __init__(self, db: Database, clock: Clock, retention: Retention, work_s: float = WORK_S) -> None:
        self._db, self._clock, self._retention = db, clock, retention
        self._until = clock.monotonic() + work_s
        self.counts = Counter[Kind]()

    async def run(self) -> None:
        """Purge what is due, until nothing is left or the time is over."""
        what = await self._db.read(due, self._retention, self._clock.now())
        for transaction in self._transactions(what):
            if not self._has_time:
                return
            while (purged := await transaction()) and self._has_time:
                self.counts.update(purged)
                await self._clock.sleep(PAUSE_S)
            self.counts.update(purged)
        while self._has_time and (pages := await self._db.read(space.surplus_pages)):
            await self._db.write(space.give_back, pages)
            await self._clock.sleep(PAUSE_S)

    def _transactions(self, what: Due) -> Iterator[Callable[[], Awaitable[Counts]]]:
        """Each is repeated until nothing is left for it."""
        db, before = self._db, what.before
        if before is not None:
            yield lambda: db.write(write.purge_servers, before, what.now)
        for instance_id in what.crowded:
            yield lambda of=instance_id: db.write(write.purge_actions, of, what.actions)
        if what.expired:
            yield lambda: db.write(write.purge_expired, what.now)
        if what.rows:
            yield lambda: db.write(write.remove_rows, what.now)

    @property
    def _has_time(self) -> bool:
        return self._clock.monotonic() < self._until


class Housekeeping:
    """Purges what `retention` does not keep."""

    def __init__(self, db: Database, clock: Clock, rounds: Rounds, retention: Retention) -> None:
        self._db, self._clock, self._rounds, self._retention = db, clock, rounds, retention

    def start(self, tasks: Supervisor) -> None:
        """Begin."""
        name = "purge"
        tasks.periodic(name, INTERVAL_S, self._rounds.claimed(name, INTERVAL_S, self.purge))

    async def purge(self) -> None:
        """One round."""
        one = Purge(self._db, self._clock, self._retention)
        await one.run()
        if one.counts:
            log.info("records were purged", **{kind.name.lower(): count for kind, count in one.counts.items()})
