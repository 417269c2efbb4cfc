# SPDX-License-Identifier: Apache-2.0
"""GET /ui/api/servers/{server_id}/figures: samples servers while pages look at them.

Nobody pays for a server that no page shows.  A server is sampled from the first request on, and until no page has
requested its figures for WATCH_S; then its samples are forgotten.
"""

import asyncio
from dataclasses import dataclass, field

import structlog
from pydantic_core import to_json

from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Reply
from kilonova.api.ui.figures import History
from kilonova.api.ui.files import FRESH
from kilonova.base.clock import Clock
from kilonova.base.errors import KilonovaError, NotFound
from kilonova.db.engine import Database
from kilonova.db.readers import instances
from kilonova.objects.ids import InstanceId
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.to_host import DIAGNOSE, Diagnose

log = structlog.get_logger(__name__)

RULE = "kilonova:servers:figures"
WATCH_S = 3600.0
MOST = 200
"""Servers that one process samples.  For another server it gives up the server with the oldest request."""
AT_ONCE = 8


@dataclass(slots=True)
class _Watched:
    """A server that is sampled until nobody has looked at it for WATCH_S."""

    looked_s: float
    history: History = field(default_factory=History)


class Sampler:
    """One per process; `round` is its periodic work."""

    def __init__(self, db: Database, rpc: Caller, clock: Clock) -> None:
        self._db, self._rpc, self._clock = db, rpc, clock
        self._watched: dict[InstanceId, _Watched] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def show(self, call: Call) -> Reply:
        """Show what a server used of CPU, memory, disk and network since a page first looked at it, up to an hour."""
        instance = await find(call)
        watched = self._watched.pop(instance.id, None)
        is_new = watched is None
        watched = watched or _Watched(0.0)
        watched.looked_s = self._clock.monotonic()
        self._watched[instance.id] = watched  # the last one: the first of the dict is the next to be given up
        if len(self._watched) > MOST:
            del self._watched[next(iter(self._watched))]
        if is_new:
            await self._sample(instance.id)
        body = to_json({"figures": watched.history.columns()})
        return Reply(body, headers=FRESH)

    async def round(self) -> None:
        """Sample each server once."""
        now = self._clock.monotonic()
        for instance_id in [one for one, watched in self._watched.items() if now - watched.looked_s > WATCH_S]:
            del self._watched[instance_id]
        async with asyncio.TaskGroup() as group:
            for instance_id in tuple(self._watched):
                group.create_task(self._sample(instance_id))

    async def _sample(self, instance_id: InstanceId) -> None:
        async with self._turns:
            watched = self._watched.get(instance_id)
            if watched is None:
                return
            found = None
            try:
                instance = await self._db.read(instances.get, instance_id, None)
                if instance.host is not None:
                    found = await self._rpc.call(DIAGNOSE, Diagnose(instance_id), instance.host)
            except NotFound:
                self._watched.pop(instance_id, None)
                return
            except KilonovaError as exc:  # it does not run, or its host does not answer: a gap in its plots
                log.debug("a server could not be sampled", instance=instance_id, error=exc.message)
            watched.history.add(self._clock.now(), found)
