# SPDX-License-Identifier: Apache-2.0
"""An operator assigns a host to a process.  The refused processes are kept in memory only: each registers again."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import Conflict
from kilonova.conductor.engine import fencing
from kilonova.conductor.hosts import processes
from kilonova.db.engine import Database
from kilonova.objects.ids import HostName
from kilonova.rpcapi.api_to_conductor_admin import Adopted, AdoptHost
from kilonova.rpcapi.host_to_conductor import RegisterHost

log = structlog.get_logger(__name__)

KEPT = timedelta(hours=1)
"""How long a refused process is remembered."""


class Claims:
    """The process of each host that was refused last, because the host has another process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused: dict[HostName, tuple[RegisterHost, datetime]] = {}

    def refused(self, request: RegisterHost) -> bool:
        """Remember the refused process.  Returns whether it is new."""
        before = self._refused.get(request.host)
        self._refused[request.host] = (request, self._clock.now())
        return before is None or before[0].process_id != request.process_id

    def of(self, host: HostName) -> str | None:
        """A description of the process; None when none was refused within KEPT."""
        found = self._refused.get(host)
        if found is None or self._clock.now() - found[1] > KEPT:
            return None
        request, at = found
        return f"process {request.process_id} on boot {request.boot_id}, refused {at:%Y-%m-%d %H:%M:%SZ}"


class Adoption:
    """Takes hosts from their processes.  `wake` makes the process that loses its host send a request, whose refusal
    reports the loss."""

    def __init__(self, db: Database, clock: Clock, claims: Claims, wake: Callable[[HostName], Awaitable[None]]) -> None:
        self._db, self._clock, self._claims, self._wake = db, clock, claims, wake

    async def adopt(self, request: AdoptHost, _peer: str) -> Adopted:
        """Raises NotFound, Conflict (no other process has tried to register: the host would have no process)."""
        claimant = self._claims.of(request.host)
        if claimant is None:
            raise Conflict(
                f"No other process has tried to register host {request.host}: start the process that is to have it, "
                "then adopt."
            )
        former = fencing.described(await self._db.write(processes.adopt, request.host, self._clock.now()))
        log.warning("an operator took a host from its process", host=request.host, former=former, claimant=claimant)
        await self._wake(request.host)
        return Adopted(former, claimant)
