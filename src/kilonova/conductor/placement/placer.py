# SPDX-License-Identifier: Apache-2.0
"""Places actions that have no host: at once where they were accepted, and again if that was lost or they wait.

Any conductor may place any action.  The transaction does nothing if the action has a host already, so an action that
two conductors place is placed once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from kilonova.base.clock import Random
from kilonova.base.context import serving
from kilonova.base.errors import KilonovaError
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.conductor.placement import place
from kilonova.conductor.placement.place import Look, ReadAll
from kilonova.conductor.placement.waiting import Patience, Wait
from kilonova.conductor.tools import Policy, Tools
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.candidates import Wanted, candidates
from kilonova.objects.ids import ActionRef, HostName

log = structlog.get_logger(__name__)

WORKERS = 4
"""How many actions a conductor places at the same time."""


class Placer:
    """A queue of actions, and the tasks that place them.  `wake` receives each host that was chosen."""

    def __init__(
        self, tools: Tools, policy: Policy, metrics: Metrics, wake: Callable[[HostName], Awaitable[None]]
    ) -> None:
        self._db, self._clock = tools.db, tools.clock
        self._policy, self._metrics, self._wake = policy, metrics, wake
        self._started = self._clock.monotonic()
        self._queue: asyncio.Queue[tuple[ActionRef, Wanted | None]] = asyncio.Queue()
        self._queued: set[ActionRef] = set()
        self._waiting: dict[ActionRef, None] = {}
        """The actions that waited for a host when this conductor tried to place them, in that order."""

    def start(self, tasks: Supervisor) -> None:
        """Begin to place what is put."""
        for number in range(WORKERS):
            tasks.spawn(f"place {number}", self._place_forever())

    def put(self, action: ActionRef, wanted: Wanted | None = None) -> None:
        """Place this action soon.  With `wanted` only the best hosts for it are compared, otherwise all."""
        if action not in self._queued:
            self._queued.add(action)
            self._queue.put_nowait((action, wanted))

    async def put_unplaced(self) -> None:
        """Place all actions without a host: another conductor may have ended before it placed them."""
        for action in await self._db.read(read_actions.unplaced):
            self.put(action)

    def put_waiting(self) -> None:
        """A host may have returned: place the actions that wait."""
        for action in self._waiting:
            self.put(action)

    async def _place_forever(self) -> None:
        while True:
            action, wanted = await self._queue.get()
            self._queued.discard(action)
            with serving(action.request_id):
                try:
                    await self._place(action, wanted)
                except KilonovaError as exc:
                    log.warning("placement failed and is retried later", action=action.id, error=str(exc))
                except Exception:
                    log.exception("placement failed and is retried later", action=action.id)

    async def _place(self, action: ActionRef, wanted: Wanted | None) -> None:
        placed = await self._choose(action, wanted)
        outcome = "waiting" if isinstance(placed, Wait) else "not-placed" if placed is None else "placed"
        self._metrics.placement_ended(outcome)
        if not isinstance(placed, Wait):
            self._waiting.pop(action, None)
            if placed is not None:
                log.info("a host was chosen", action=action.id, host=placed)
                await self._wake(placed)
        elif action not in self._waiting:
            self._waiting[action] = None
            log.info("an instance waits for a host", action=action.id, hosts=placed.hosts, reason=placed.reason)

    async def _choose(self, action: ActionRef, wanted: Wanted | None) -> HostName | Wait | None:
        placed = ReadAll() if wanted is None else await self._place_once(action, await self._best(wanted))
        if isinstance(placed, ReadAll):
            placed = await self._place_once(action, await self._all())
        return None if isinstance(placed, ReadAll) else placed

    async def _best(self, wanted: Wanted) -> Look:
        rules = self._policy.scheduling
        found = await self._db.read(candidates, self._clock.now(), wanted, rules)
        return Look(rules, found.nodes, found.left_out)

    async def _all(self) -> Look:
        return Look(self._policy.scheduling, await self._db.read(read_hosts.nodes_to_place, self._clock.now()))

    async def _place_once(self, action: ActionRef, look: Look) -> HostName | Wait | ReadAll | None:
        random = Random(self._clock.random.getrandbits(64))
        return await self._db.write(place.place, action.id, random, self._clock.now(), self._patience(), look)

    def _patience(self) -> Patience:
        host_wait_s = self._policy.settings.host_wait
        if host_wait_s <= 0:
            return Patience()
        young = self._clock.monotonic() - self._started < host_wait_s
        return Patience(timedelta(seconds=host_wait_s), young, timedelta(seconds=self._policy.down_time_s))
