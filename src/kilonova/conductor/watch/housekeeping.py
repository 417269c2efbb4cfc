# SPDX-License-Identifier: Apache-2.0
"""Deleted instances are purged after a configured time, in small transactions, so that other writes do not wait
long."""

from datetime import timedelta

import structlog

from kilonova.base.clock import Clock
from kilonova.base.tasks import Supervisor
from kilonova.conductor.watch.rounds import Rounds
from kilonova.db.engine import Database
from kilonova.db.writers.purge import AT_A_TIME, purge_deleted

log = structlog.get_logger(__name__)

INTERVAL_S = 600.0
LIMIT_S = 300.0
"""The limit of one round; the next round continues."""
PAUSE_S = 0.05
"""The pause between two transactions, for other writes."""


class Housekeeping:
    """Keeps deleted instances for `keep`, with their actions; None: for ever."""

    def __init__(self, db: Database, clock: Clock, rounds: Rounds, keep: timedelta | None) -> None:
        self._db, self._clock, self._rounds, self._keep = db, clock, rounds, keep

    def start(self, tasks: Supervisor) -> None:
        """Begin, as configured."""
        if self._keep is not None:
            name = "purge deleted"
            tasks.periodic(name, INTERVAL_S, self._rounds.claimed(name, INTERVAL_S, self.purge), limit_s=LIMIT_S)

    async def purge(self) -> None:
        """One round: purge everything that is due."""
        assert self._keep is not None
        before, total = self._clock.now() - self._keep, 0
        while count := await self._db.write(purge_deleted, before):
            total += count
            if count < AT_A_TIME:
                break
            await self._clock.sleep(PAUSE_S)
        if total:
            log.info("deleted servers were purged", count=total)
