# SPDX-License-Identifier: Apache-2.0
"""What stands between a simulated process and the rest of the world: a process that is dead or frozen reaches nothing.

Each call of a process to the bus, the database or the hypervisor passes its gate before it begins and after it has
ended.  So a process can end, or stand still, between the effect of a call and the moment when it learns the result.
"""

import asyncio
import contextlib
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from kilonova.base.errors import DatabaseUnavailable, RequestOutcomeUnknown, RpcTimeout
from kilonova.conductor.placement.place import place
from kilonova.db.engine import Database
from kilonova.rpc.bus import Handler
from kilonova.rpc.memory import MemoryBus, MemoryHub
from tests.simulation.explore.weather import Weather
from tests.simulation.virtual import SimClock


class Gate:
    """Of one process; `ends` is called, once, when the countdown of a planned crash is over.  `sleepy`: after so many
    passages the process stands still.  `has_stood`: it has stood still at some time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.countdown = self.sleepy = 0
        self.has_stood = False
        self.ends: Callable[[], None] = lambda: None
        self._thawed = asyncio.Event()
        self._thawed.set()

    @property
    def frozen(self) -> bool:
        """Whether the process stands still."""
        return not self._thawed.is_set()

    def freeze(self) -> None:
        """The process stands still."""
        self.has_stood = True
        self._thawed.clear()

    def thaw(self) -> None:
        """The process goes on where it stood."""
        self._thawed.set()

    async def passed(self) -> None:
        """Wait while the process stands still.  Does not return when it is dead."""
        if self.countdown:
            self.countdown -= 1
            if not self.countdown:
                self.dead = True
                self.ends()
        if self.sleepy:
            self.sleepy -= 1
            if not self.sleepy:
                self.freeze()
        if self.frozen:
            await self._thawed.wait()
        if self.dead:
            raise asyncio.CancelledError


GATE: ContextVar[Gate | None] = ContextVar("GATE", default=None)
"""Of the process whose code runs now: a hypervisor does not see which process calls it."""


class GatedBus(MemoryBus):
    """An end of the bus.  `cut_off` says of a subject that nothing comes or goes there; `sends` sees each request, and
    `receives` each request with its answer."""

    def __init__(
        self,
        hub: MemoryHub,
        clock: SimClock,
        gate: Gate,
        cut_off: Callable[[str], bool],
        sends: Callable[[bytes], None] = lambda _: None,
        receives: Callable[[bytes, bytes], None] = lambda _request, _answer: None,
    ) -> None:
        super().__init__(hub, clock)
        self._gate, self._is_cut_off, self._sends, self._receives = gate, cut_off, sends, receives

    async def request(self, subject: str, payload: bytes, timeout_s: float) -> bytes:
        await self._gate.passed()
        self._sends(payload)
        if self._is_cut_off(subject):
            await asyncio.sleep(timeout_s)
            raise RpcTimeout(f"No reply from {subject}.")
        answer = await super().request(subject, payload, timeout_s)
        await self._gate.passed()
        self._receives(payload, answer)
        return answer

    async def publish(self, subject: str, payload: bytes) -> None:
        await self._gate.passed()
        if not self._is_cut_off(subject):
            await super().publish(subject, payload)

    async def subscribe(self, subject: str, handler: Handler, *, queue: str | None = None) -> None:
        async def passed(subject: str, payload: bytes) -> bytes:
            GATE.set(self._gate)  # (a message is handled in a task of its sender's context)
            await self._gate.passed()
            if self._is_cut_off(subject):
                await asyncio.Event().wait()  # it never arrives
            answer = await handler(subject, payload)
            await self._gate.passed()
            return answer

        await super().subscribe(subject, passed, queue=queue)


class _Conflict(Exception):
    """Rolls a transaction back that is then run again."""


class GatedDatabase:
    """The way of one process to the shared database, with the faults of the connection to it."""

    def __init__(self, db: Database, gate: Gate, weather: Weather) -> None:
        self._db, self._gate, self._weather = db, gate, weather
        self.start, self.trouble, self.close, self.usage = db.start, db.trouble, db.close, db.usage

    def on_recorded(self, recorded: Callable[[], None]) -> None:
        """Only transactions of this process call it."""
        self._db.on_recorded(lambda: recorded() if GATE.get() is self._gate else None)

    async def write(self, fn: Any, *args: Any, **words: Any) -> Any:
        await self._gate.passed()
        fault = self._weather.of_write()
        if fn is place and self._weather.placing.times:
            fault = await self._weather.of_placement() or fault
        if fault == "refused":
            raise DatabaseUnavailable("The database refuses connections. Nothing was accepted; try again later.")
        if fault == "again":
            await self._roll_back(fn, args, words)
        answer = await self._db.write(fn, *args, **words)
        await self._gate.passed()
        if fault == "unanswered":
            raise RequestOutcomeUnknown("The connection to the database was lost while it committed.")
        return answer

    async def _roll_back(self, fn: Any, args: Any, words: Any) -> None:
        """Run the function as PostgreSQL does before it reports a conflict: completely, and without an effect."""

        def conflict(tx: Any) -> None:
            fn(tx, *args, **words)
            raise _Conflict

        with contextlib.suppress(Exception):  # the conflict, or a refusal by the function: the next run reports it
            await self._db.write(conflict)

    async def read(self, fn: Any, *args: Any, **words: Any) -> Any:
        await self._gate.passed()
        if self._weather.of_read() == "refused":
            raise DatabaseUnavailable("The database refuses connections. Nothing was accepted; try again later.")
        answer = await self._db.read(fn, *args, **words)
        await self._gate.passed()
        return answer
