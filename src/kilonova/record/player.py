# SPDX-License-Identifier: Apache-2.0
"""The replay: the same code receives the recorded inputs, and each of its calls is compared with the recorded one."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from kilonova.base.clock import Clock
from kilonova.base.enclosed import EnclosedLoop
from kilonova.record import values
from kilonova.record.log import TURNS, Entry, Kind
from kilonova.record.rooms import Body, Rooms, Work, begin

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a replay left the record: the number of the entry, what it has, and what the code did."""

    entry: int
    recorded: str
    done: str

    def __str__(self) -> str:
        what = f"recorded is {self.recorded}, the code did {self.done}"
        return f"The replay leaves the record at entry {self.entry}: {what}."


@dataclass(frozen=True, slots=True)
class Outcome:
    """`entries` were replayed, with so many calls and messages.  `chain` is the hash of all that the code sent out,
    which equals the recorded one unless there is a `difference`."""

    entries: int
    calls: int
    messages: int
    seconds: float
    chain: int
    difference: Difference | None = None


Watch = Callable[[int, Entry, object], None]
"""Receives each entry with its number, and with the arguments of the call, the result or the payload."""


class Player:
    """Replays the entries after the head, up to the entry `until` or to the end."""

    def __init__(self, entries: Iterable[Entry], watch: Watch, *, until: int | None = None) -> None:
        self.loop = EnclosedLoop()
        self._entries = enumerate(entries, start=1)
        self._watch, self._until = watch, until
        self._next: tuple[int, Entry] | None = None
        self._number = 0
        self._began: float | None = None
        self._wall = self._now = 0.0
        self._calls = self._messages = 0
        self._chain = values.Chain()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._handlers: list[Callable[[int, str, bytes], None]] = []
        self._listeners: list[Callable[[], None]] = []
        self._difference: Difference | None = None
        self._main: asyncio.Task[None] | None = None

    def play(self, body: Body) -> Outcome:
        """Run the code on the record.  Raises StateError for a record that cannot be read."""
        self._advance()
        while self._difference is None and self._next is not None:
            number, entry = self._next
            if entry[0] not in TURNS:
                self._differs("nothing more in this turn")
                break
            if entry[0] == Kind.STOP:
                break
            self._advance()
            self._turn(number, entry, body)
        self._stop()
        seconds = self._now - (self._began or 0.0)
        return Outcome(self._number, self._calls, self._messages, seconds, self._chain.value, self._difference)

    def _stop(self) -> None:
        """End the code; what it does then is not compared."""
        self._next = None
        if self._main is not None and not self._main.done():
            self.loop.run(self._now, self._main.cancel)
        self.loop.close()

    def _advance(self) -> None:
        self._next = next(self._entries, None)
        if self._next is not None and self._until is not None and self._next[0] > self._until:
            self._next = None

    def _turn(self, number: int, entry: Entry, body: Body) -> None:
        kind, self._now, self._wall, *rest = entry
        self._began = self._now if self._began is None else self._began
        self._number = number
        self.loop.run(self._now, self._input(number, entry, Kind(kind), rest, body))

    def _input(self, number: int, entry: Entry, kind: Kind, rest: list[Any], body: Body) -> Callable[[], object]:
        if kind is Kind.START:
            self._watch(number, entry, None)
            return partial(self._begin, body)
        if kind is Kind.TICK:
            return _nothing
        if kind is Kind.MESSAGE:
            subscription, message, subject, payload = rest
            self._messages += 1
            self._watch(number, entry, payload)
            return partial(self._handlers[subscription], message, subject, payload)
        if kind is Kind.RECORDED:
            return lambda: [listener() for listener in self._listeners]
        call, data = rest
        result = values.decode(data) if kind is Kind.RESULT else values.decode_error(data)
        self._watch(number, entry, result)
        return partial(_settle, self._waiting.pop(call), result, failed=kind is Kind.ERROR)

    def _begin(self, body: Body) -> None:
        self._main = begin(self, body, _nothing, self.loop.create_future())

    def _expect(self, kind: Kind, name: str) -> Entry | None:
        """The next entry, which must be of this kind; None: the record has ended, or the replay has left it."""
        if self._difference is not None or self._next is None:
            return None
        number, entry = self._next
        if entry[0] != kind:
            self._differs(name)
            return None
        self._number = number
        self._advance()
        return entry

    def _differs(self, done: str) -> None:
        if self._next is not None and self._difference is None:
            number, entry = self._next
            self._difference = Difference(number, described(entry), done)

    # Of rooms.Outside:

    def call(self, name: str, arguments: object, work: Work) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self.loop.create_future()
        at, entry = self._next, self._expect(Kind.CALL, name)
        if entry is None or at is None:
            return future
        _, number, recorded, hashed = entry
        if self._chain.add(name, arguments) != hashed or name != recorded:
            what = " with other arguments" if name == recorded else ""
            self._difference = Difference(at[0], recorded, f"{name}{what}")
        self._calls += 1
        self._waiting[number] = future
        self._watch(at[0], entry, arguments)
        return future

    def value(self, name: str, read: Callable[[Rooms], T]) -> T:
        at, entry = self._next, self._expect(Kind.VALUE, f"a read of {name}")
        if entry is None or at is None:
            raise asyncio.CancelledError  # (the replay is over)
        if entry[1] != name:
            self._difference = Difference(at[0], described(entry), f"a read of {name}")
        found: T = entry[2]
        return found

    def wall(self) -> float:
        return self._wall

    def serve(self, subject: str, queue: str | None, handler: Callable[[int, str, bytes], None]) -> asyncio.Future[Any]:
        self._handlers.append(handler)
        return self.call(f"subscribe {subject}", queue, _no_work)

    def reply(self, number: int, payload: bytes) -> None:
        at, entry = self._next, self._expect(Kind.REPLY, f"a reply to message {number}")
        if entry is None or at is None:
            return
        if (number, self._chain.add("reply", payload)) != (entry[1], entry[2]):
            other = "another reply" if number == entry[1] else f"a reply to message {number}"
            self._difference = Difference(at[0], described(entry), other)
        self._watch(at[0], entry, payload)

    def on_recorded(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def machine(self) -> Clock | None:
        return None


def described(entry: Entry) -> str:
    """The entry in a few words."""
    kind = Kind(entry[0])
    if kind is Kind.CALL:
        return str(entry[2])
    if kind is Kind.REPLY:
        return f"a reply to message {entry[1]}"
    if kind is Kind.VALUE:
        return f"a read of {entry[1]}"
    if kind is Kind.MESSAGE:
        return f"message {entry[4]} for {entry[5]}"
    if kind in (Kind.RESULT, Kind.ERROR):
        return f"the {kind.name.lower()} of call {entry[3]}"
    return {Kind.START: "the start", Kind.TICK: "a timer", Kind.RECORDED: "a commit"}.get(kind, kind.name.lower())


def _settle(future: asyncio.Future[Any], result: Any, *, failed: bool) -> None:
    if failed:
        future.set_exception(result)
    else:
        future.set_result(result)


async def _no_work(_rooms: Rooms) -> None:
    """A replay does nothing outside."""


def _nothing() -> None:
    """Nothing waits for the start."""
