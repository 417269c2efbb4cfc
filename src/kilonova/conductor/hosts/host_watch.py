# SPDX-License-Identifier: Apache-2.0
"""Calls hosts up and down: what this conductor receives is compared with the records.

A host is not called down by the silence of its heartbeats alone.  The conductor sends it a ping, and an answer counts
as a heartbeat.  Without an answer, and when other conductors are up, the conductor records a suspicion.  A conductor
that receives heartbeats of the host removes the suspicion in its next look; the host is down when the suspicion stands
for VETO_LOOKS looks.  So a conductor that is cut off from some hosts calls none of them down while another conductor
receives their heartbeats.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import KilonovaError, NotInThisVersion, RpcTimeout, RpcUnavailable
from kilonova.conductor.hosts.liveness import Liveness
from kilonova.db.engine import Database
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.hosts import HostLevel
from kilonova.db.writers import liveness as write_liveness
from kilonova.objects.ids import HostName
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.to_host import PING, Ping

log = structlog.get_logger(__name__)

VETO_LOOKS = 3
"""How many intervals of the watch another conductor has to remove a suspicion."""
PINGS = 64
"""The maximum number of hosts that receive a ping at the same time."""
ATTEMPTS = 3
"""Of a message of this process to itself, before its connection to the bus counts as lost."""


class HostWatch:
    """One look compares all hosts.  `process_id` names this conductor's process; with `alone` there is no other
    conductor.  `ping_self` sends a message of this process to itself over the bus."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        rpc: Caller,
        liveness: Liveness,
        ping_self: Callable[[], Awaitable[None]],
        process_id: str = "",
    ) -> None:
        self._db, self._clock, self._rpc, self._liveness = db, clock, rpc, liveness
        self._ping_self, self._process_id = ping_self, process_id
        self._stands: dict[HostLevel, float] = {}

    async def look(self, interval_s: float) -> None:
        """Record what has changed."""
        if not self._liveness.took_any() and not await self._receives():
            self._liveness.deaf()
        judge = self._liveness.may_judge(interval_s)
        levels = await self._db.read(read_hosts.levels)
        self._liveness.note(levels)
        heard = self._liveness.last_heard()
        for level in levels:
            if self._liveness.is_fresh(level.host, level.epoch) and (not level.up or level.suspected_at is not None):
                await self._call_up(level, heard.get(level.host, self._clock.now()))
        silent = [one for one in levels if one.up and self._liveness.is_silent(one.host, one.epoch)]
        if judge and silent:
            await self._doubt(silent, interval_s)

    async def _receives(self) -> bool:
        for _ in range(ATTEMPTS):
            try:
                await self._ping_self()
            except (RpcTimeout, RpcUnavailable):
                continue
            return True
        return False

    async def _call_up(self, level: HostLevel, heard_at: datetime) -> None:
        if await self._db.write(write_liveness.call_up, level, heard_at) and not level.up:
            log.warning("host is up", host=level.host, epoch=level.epoch)

    async def _doubt(self, silent: Sequence[HostLevel], interval_s: float) -> None:
        now = self._clock.monotonic()
        self._stands = {one: self._stands.get(one, now) for one in silent if one.suspected_at is not None}
        waits = {one for one, since in self._stands.items() if now - since < VETO_LOOKS * interval_s}
        gone = await self._unanswered([one for one in silent if one not in waits])
        if not gone:
            return
        others = bool(self._process_id) and await self._db.read(
            read_hosts.other_conductors, self._process_id, self._clock.now()
        )
        if self._clock.monotonic() - now > interval_s + PING.timeout_s * (2 + len(silent) / PINGS):
            return  # this process stood still meanwhile: what it has found is old
        for level in gone:
            if others and level.suspected_at is None:
                await self._db.write(write_liveness.suspect, level, self._process_id, self._clock.now())
            else:
                await self._call_down(level)

    async def _call_down(self, level: HostLevel) -> None:
        heard_at = self._liveness.last_heard().get(level.host, self._clock.now())
        if await self._db.write(write_liveness.call_down, level, heard_at):
            log.warning("host is down", host=level.host, epoch=level.epoch)

    async def _unanswered(self, silent: Sequence[HostLevel]) -> list[HostLevel]:
        """Those that do not answer a ping either."""
        limit, gone = asyncio.Semaphore(PINGS), set[HostName]()

        async def ask(level: HostLevel) -> None:
            async with limit:
                if not await self._answers(level):
                    gone.add(level.host)

        async with asyncio.TaskGroup() as group:
            for level in silent:
                group.create_task(ask(level))
        return [one for one in silent if one.host in gone]

    async def _answers(self, level: HostLevel) -> bool:
        try:
            answer = await self._rpc.call(PING, Ping(), level.host)
        except NotInThisVersion:  # a host of code version 1 answers, and has no ping (goes in version 3)
            self._liveness.heard(level.host, level.epoch)
            return True
        except KilonovaError as exc:
            log.debug("a silent host does not answer a ping", host=level.host, error=str(exc))
            return False
        self._liveness.heard(level.host, answer.epoch)
        return answer.epoch == level.epoch
