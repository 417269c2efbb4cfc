# SPDX-License-Identifier: Apache-2.0
"""The rooms of code that runs enclosed: its clock, its bus and its database.

They are the same in the process that is recorded and in the replay.  All that they do outside goes through `Outside`:
a Recorder does it and records the outcome, a Player has the outcome from the record.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

from kilonova.base.clock import Clock, Random
from kilonova.base.enclosed import EnclosedLoop
from kilonova.base.tasks import Supervisor
from kilonova.db.engine import Database, Usage
from kilonova.db.transaction import Snapshot, Transaction
from kilonova.record.values import name_of
from kilonova.rpc.bus import Bus, Handler

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rooms:
    """The clock, the bus and the database of a process."""

    clock: Clock
    bus: Bus
    db: Database


Work = Callable[[Rooms], Coroutine[Any, Any, Any]]
"""What a call does with the rooms of the process."""


class Outside(Protocol):
    """The way out of the enclosed code."""

    loop: EnclosedLoop

    def call(self, name: str, arguments: object, work: Work) -> asyncio.Future[Any]:
        """Begin a call.  The future is of the enclosed loop; to cancel it cancels the work."""
        ...

    def value(self, name: str, read: Callable[[Rooms], T]) -> T:
        """What `read` returns."""
        ...

    def wall(self) -> float:
        """The wall clock at the beginning of this turn, in seconds since 1970."""
        ...

    def serve(self, subject: str, queue: str | None, handler: Callable[[int, str, bytes], None]) -> asyncio.Future[Any]:
        """Call `handler` in a turn for each message, with the number of the message.  Done when subscribed."""
        ...

    def reply(self, number: int, payload: bytes) -> None:
        """The reply to a message."""
        ...

    def on_recorded(self, listener: Callable[[], None]) -> None:
        """Call `listener` in a turn after each commit with a notification."""
        ...

    def machine(self) -> Clock | None:
        """The clock of the process for code that is called outside of the loop; None in a replay."""
        ...


class EnclosedClock:
    """A Clock.  The time stands still within a turn.  Functions of a transaction, which run in worker threads, receive
    `new_id` and read the process's own: what they make is part of their result."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._random = Random(outside.value("seed", lambda rooms: rooms.clock.random.getrandbits(64)))

    @property
    def random(self) -> Random:
        return self._random

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._outside.wall(), UTC)

    def monotonic(self) -> float:
        return self._outside.loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def new_id(self) -> str:
        if not self._outside.loop.is_current and (machine := self._outside.machine()) is not None:
            return machine.new_id()
        return self._outside.value("id", lambda rooms: rooms.clock.new_id())

    def new_secret(self, n_bytes: int) -> str:
        return self._outside.value("secret", lambda rooms: rooms.clock.new_secret(n_bytes))


class EnclosedDatabase:
    """A Database.  Results are recorded; a replay has no database."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def start(self) -> None:
        """See Database: it is started when the enclosed code begins."""

    async def write(self, fn: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database."""
        work: Work = lambda rooms: rooms.db.write(fn, *args, **kwargs)  # noqa: E731
        found: T = await self._outside.call(f"write {name_of(fn)}", (args, kwargs), work)
        return found

    async def read(self, fn: Callable[Concatenate[Snapshot, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database."""
        work: Work = lambda rooms: rooms.db.read(fn, *args, **kwargs)  # noqa: E731
        found: T = await self._outside.call(f"read {name_of(fn)}", (args, kwargs), work)
        return found

    def on_recorded(self, recorded: Callable[[], None]) -> None:
        """See Database."""
        self._outside.on_recorded(recorded)

    async def trouble(self) -> str:
        """See Database."""
        found: str = await self._outside.call("database trouble", (), lambda rooms: rooms.db.trouble())
        return found

    def usage(self) -> Usage:
        """See Database."""
        return self._outside.value("usage", lambda rooms: rooms.db.usage())

    async def close(self) -> None:
        """See Database: its owner closes it."""


class EnclosedBus:
    """A Bus.  Leaving it ends the handlers that run."""

    def __init__(self, outside: Outside, clock: Clock) -> None:
        self._outside, self._tasks = outside, Supervisor(clock)

    @property
    def max_payload(self) -> int:
        """See Bus."""
        return self._outside.value("max_payload", lambda rooms: rooms.bus.max_payload)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.__aexit__(kind, exc, trace)

    async def request(self, subject: str, payload: bytes, timeout_s: float) -> bytes:
        """See Bus."""
        work: Work = lambda rooms: rooms.bus.request(subject, payload, timeout_s)  # noqa: E731
        reply: bytes = await self._outside.call(f"request {subject}", (payload, timeout_s), work)
        return reply

    async def publish(self, subject: str, payload: bytes) -> None:
        """See Bus."""
        work: Work = lambda rooms: rooms.bus.publish(subject, payload)  # noqa: E731
        await self._outside.call(f"publish {subject}", payload, work)

    async def subscribe(self, subject: str, handler: Handler, *, queue: str | None = None) -> None:
        """See Bus."""

        async def handle(number: int, subject: str, payload: bytes) -> None:
            self._outside.reply(number, await handler(subject, payload))

        def arrived(number: int, subject: str, payload: bytes) -> None:
            self._tasks.spawn(f"handle {subject}", handle(number, subject, payload))

        await self._outside.serve(subject, queue, arrived)


Body = Callable[[Rooms, Callable[[], None], asyncio.Future[None]], Coroutine[Any, Any, None]]
"""The enclosed code: it receives its rooms, calls the function once when it serves, stops its work when the future is
done, and is then cancelled."""


def begin(
    outside: Outside, body: Body, started: Callable[[], None], stopping: asyncio.Future[None]
) -> asyncio.Task[None]:
    """Start the enclosed code, in the first turn."""

    async def main() -> None:
        clock = EnclosedClock(outside)
        async with EnclosedBus(outside, clock) as bus:
            await body(Rooms(clock, bus, EnclosedDatabase(outside)), started, stopping)

    return outside.loop.create_task(main(), name="enclosed")
