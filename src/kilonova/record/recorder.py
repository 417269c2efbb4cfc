# SPDX-License-Identifier: Apache-2.0
"""The recording side: it does what the enclosed code asks for, and records every input with the turn that it causes."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from kilonova.base.clock import Clock
from kilonova.base.enclosed import EnclosedLoop
from kilonova.record import values
from kilonova.record.log import Entry, Kind, RecordFile
from kilonova.record.rooms import Body, Rooms, Work, begin

T = TypeVar("T")

LEAST_S = 0.001
"""Timers of the process's loop are not more exact."""
CLOSE_S = 5.0
"""How long the enclosed code may take to end."""


class Recorder:
    """Runs enclosed code in the current event loop, and records it.  `rooms` are the real ones."""

    def __init__(self, rooms: Rooms, file: RecordFile, head: object) -> None:
        self.loop = EnclosedLoop()
        self._rooms, self._file = rooms, file
        self._outer = asyncio.get_running_loop()
        self._calls = self._messages = self._subscriptions = 0
        self._chain = values.Chain()
        self._wall = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._running: set[asyncio.Task[Any]] = set()
        self._replies: dict[int, asyncio.Future[bytes]] = {}
        self._stopping = self.loop.create_future()
        self._started: asyncio.Future[None] = self._outer.create_future()
        self._ended: asyncio.Future[None] = self._outer.create_future()
        self._main: asyncio.Task[None] | None = None
        file.add((Kind.HEAD, head))

    async def start(self, body: Body) -> None:
        """Begin, and wait until the code serves.  Raises what the code raises."""

        def first() -> None:
            self._main = begin(self, body, partial(_set, self._started), self._stopping)
            self._main.add_done_callback(self._over)

        self._turn((Kind.START,), first)
        await asyncio.wait((self._started, self._ended), return_when=asyncio.FIRST_COMPLETED)
        if self._ended.done():
            self._ended.result()

    async def keep(self) -> None:
        """Wait for the end of the code, and raise what it raised.  When this is cancelled, the code stops its own work
        and the record ends; requests that are in progress are still served, until `close`."""
        try:
            await asyncio.shield(self._ended)
        except asyncio.CancelledError:
            self._turn((Kind.STOP,), partial(_set, self._stopping))
            raise

    async def close(self) -> None:
        """End the code and all calls."""
        if self._main is not None and not self._ended.done():
            self._turn((Kind.STOP,), self._main.cancel)
            await asyncio.wait((self._ended,), timeout=CLOSE_S)
        if self._timer is not None:
            self._timer.cancel()
        for task in self._running:
            task.cancel()
        if self._ended.done() and not self._ended.cancelled():
            self._ended.exception()

    def _over(self, main: asyncio.Task[None]) -> None:
        if self._ended.done():
            return
        if main.cancelled():
            self._ended.set_result(None)
        elif (error := main.exception()) is not None:
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    def _turn(self, entry: Entry, deliver: Callable[[], object], size: int = 0) -> None:
        """Record an input, and run the code with it."""
        clock = self._rooms.clock
        now, self._wall = clock.monotonic(), clock.now().timestamp()
        self._file.add((entry[0], now, self._wall, *entry[1:]), size)
        self.loop.run(now, deliver)
        if (at := self.loop.next_at) is not None and (self._timer is None or at < self._timer_at):
            if self._timer is not None:
                self._timer.cancel()
            self._arm(at, now)

    def _arm(self, at: float, now: float) -> None:
        self._timer_at = at
        self._timer = self._outer.call_later(max(0.0, at - now), self._tick)

    def _tick(self) -> None:
        self._timer = None
        at = self.loop.next_at
        if at is None:
            return
        now = self._rooms.clock.monotonic()
        if at > now:
            self._arm(max(at, now + LEAST_S), now)
            return
        self._turn((Kind.TICK,), _nothing)

    # Of rooms.Outside:

    def call(self, name: str, arguments: object, work: Work) -> asyncio.Future[Any]:
        self._calls += 1
        number = self._calls
        if not self._file.ended:
            self._file.add((Kind.CALL, number, name, self._chain.add(name, arguments)))
        future: asyncio.Future[Any] = self.loop.create_future()
        task = self._outer.create_task(work(self._rooms))
        self._running.add(task)
        task.add_done_callback(partial(self._done, number, future))
        future.add_done_callback(partial(_give_up, task))
        return future

    def _done(self, number: int, future: asyncio.Future[Any], task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if future.done() or task.cancelled():
            return
        if error is not None:
            data = b"" if self._file.ended else values.encode_error(error)
            self._turn((Kind.ERROR, number, data), partial(future.set_exception, error), len(data))
            return
        result = task.result()
        data = b"" if self._file.ended else self._encoded(result)
        self._turn((Kind.RESULT, number, data), partial(future.set_result, result), len(data))

    def _encoded(self, result: object) -> bytes:
        try:
            return values.encode(result)
        except Exception as exc:  # (the process must not depend on its record)
            self._file.end(f"a result cannot be recorded: {exc}")
            return b""

    def value(self, name: str, read: Callable[[Rooms], T]) -> T:
        found = read(self._rooms)
        self._file.add((Kind.VALUE, name, found))
        return found

    def wall(self) -> float:
        return self._wall

    def serve(self, subject: str, queue: str | None, handler: Callable[[int, str, bytes], None]) -> asyncio.Future[Any]:
        subscription = self._subscriptions
        self._subscriptions += 1

        async def arrived(subject: str, payload: bytes) -> bytes:
            self._messages += 1
            number = self._messages
            reply: asyncio.Future[bytes] = self._outer.create_future()
            self._replies[number] = reply
            entry = (Kind.MESSAGE, subscription, number, subject, payload)
            self._outer.call_soon(self._turn, entry, partial(handler, number, subject, payload), len(payload))
            try:
                return await reply
            finally:
                del self._replies[number]

        return self.call(
            f"subscribe {subject}", queue, lambda rooms: rooms.bus.subscribe(subject, arrived, queue=queue)
        )

    def reply(self, number: int, payload: bytes) -> None:
        if not self._file.ended:
            self._file.add((Kind.REPLY, number, self._chain.add("reply", payload)))
        future = self._replies.get(number)
        if future is not None and not future.done():
            future.set_result(payload)

    def on_recorded(self, listener: Callable[[], None]) -> None:
        def committed() -> None:
            self._outer.call_soon(self._turn, (Kind.RECORDED,), listener)

        self._rooms.db.on_recorded(committed)

    def machine(self) -> Clock | None:
        return self._rooms.clock


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _give_up(task: asyncio.Task[Any], future: asyncio.Future[Any]) -> None:
    if future.cancelled():
        task.cancel()


def _nothing() -> None:
    """A turn without an input."""
