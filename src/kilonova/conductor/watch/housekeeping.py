# SPDX-License-Identifier: Apache-2.0
"""What was deleted is forgotten after its time, in small transactions beside everybody's work."""

from datetime import timedelta

import structlog

from kilonova.base.clock import Clock
from kilonova.base.tasks import Supervisor
from kilonova.db.engine import Database
from kilonova.db.writers.purge import AT_A_TIME, purge_deleted

log = structlog.get_logger(__name__)

INTERVAL_S = 600.0
LIMIT_S = 300.0
"""Of one round; what is left is for the next one."""
PAUSE_S = 0.05
"""Between two transactions, for others' writes."""


class Housekeeping:
    """Deleted instances stay for `keep`, with their actions; None: for ever."""

    def __init__(self, db: Database, clock: Clock, keep: timedelta | None) -> None:
        self._db, self._clock, self._keep = db, clock, keep

    def start(self, tasks: Supervisor) -> None:
        """Begin, as configured."""
        if self._keep is not None:
            tasks.periodic("purge deleted", INTERVAL_S, self.purge, limit_s=LIMIT_S)

    async def purge(self) -> None:
        """One round: all that is due."""
        assert self._keep is not None
        before, total = self._clock.now() - self._keep, 0
        while count := await self._db.write(purge_deleted, before):
            total += count
            if count < AT_A_TIME:
                break
            await self._clock.sleep(PAUSE_S)
        if total:
            log.info("deleted servers were purged", count=total)
