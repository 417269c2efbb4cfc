# SPDX-License-Identifier: Apache-2.0
"""An operator assigns a host to a process.  Refused processes and conflicts are in the database, so that any conductor
can serve the request."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import Conflict
from kilonova.conductor.engine import fencing
from kilonova.conductor.hosts import processes
from kilonova.db.database_time import database_now
from kilonova.db.engine import Database
from kilonova.db.readers import contests as read_contests
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import HostName
from kilonova.rpcapi.api_to_conductor_admin import Adopted, AdoptHost

log = structlog.get_logger(__name__)

KEPT = timedelta(hours=1)
"""How long a refused process counts."""
BOTH = "both of two live processes, which had lost it already"


class Adoption:
    """Takes hosts from their processes.  `wake` makes the process that loses its host send a request, whose refusal
    reports the loss."""

    def __init__(self, db: Database, clock: Clock, wake: Callable[[HostName], Awaitable[None]]) -> None:
        self._db, self._clock, self._wake = db, clock, wake

    async def adopt(self, request: AdoptHost, _peer: str) -> Adopted:
        """Raises NotFound, Conflict (no other process has tried to register: the host would have no process)."""
        adopted = await self._db.write(adopt, request.host, self._clock.now())
        log.warning(
            "an operator took a host from its process",
            host=request.host,
            former=adopted.former,
            claimant=adopted.claimant,
        )
        await self._wake(request.host)
        return adopted


def adopt(tx: Transaction, host: HostName, now: datetime) -> Adopted:
    """One transaction; see `Adoption.adopt`.  A repeat changes nothing."""
    found, known = read_contests.contest_of(tx, host), read_hosts.process_of(tx, host)
    if found.conflict is not None:
        processes.adopt(tx, host, now)
        return Adopted(BOTH, "the next process that registers")
    is_new = found.claimed_at is not None and database_now(tx, now) - found.claimed_at <= KEPT
    if not is_new and not (known is not None and known.process_id == fencing.NOBODY):
        raise Conflict(
            f"No other process has tried to register host {host}: start the process that is to have it, then adopt."
        )
    former = fencing.described(processes.adopt(tx, host, now))
    at = f", refused {found.claimed_at:%Y-%m-%d %H:%M:%SZ}" if found.claimed_at is not None else ""
    return Adopted(former, f"process {found.claimant} on boot {found.claimant_boot}{at}" if at else "none yet")
