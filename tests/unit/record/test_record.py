# SPDX-License-Identifier: Apache-2.0
"""The parts of a record: the enclosed loop, the values, the file, and what a recorder does at their limits."""

import asyncio
import os
import pickle
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from kilonova.base.clock import SystemClock
from kilonova.base.enclosed import MOST_STEPS, EnclosedLoop
from kilonova.base.errors import ConfigError, RpcTimeout, StaleWrite, StateError
from kilonova.base.failpoints import Failpoints
from kilonova.base.threads import InlineWorkers
from kilonova.config.load import load
from kilonova.db.engine import Database
from kilonova.objects.states import Verb
from kilonova.record import values
from kilonova.record.log import Kind, RecordFile, entries_of, frame_of
from kilonova.record.player import Outcome, Player
from kilonova.record.recorder import Recorder
from kilonova.record.rooms import Rooms
from kilonova.rpc.memory import MemoryBus, MemoryHub
from kilonova.wiring.one_box import one_box
from tests import make


def test_a_turn_runs_due_timers_in_their_order_and_then_all_that_is_ready() -> None:
    loop, seen = EnclosedLoop(), list[object]()

    async def work(name: str, seconds: float) -> None:
        async with asyncio.timeout(10):
            await asyncio.sleep(seconds)
        seen.append((name, asyncio.get_running_loop().time()))

    tasks: list[asyncio.Task[None]] = []
    loop.run(1.0, lambda: tasks.extend(loop.create_task(work(name, 2.0)) for name in "abc"))
    assert loop.next_at == 3.0
    loop.run(2.5, lambda: tasks[1].cancel())
    assert (loop.next_at, loop.is_current, seen) == (3.0, False, [])
    loop.run(3.5, lambda: seen.append("input"))
    assert seen == ["input", ("a", 3.5), ("c", 3.5)]
    assert loop.next_at is None  # the timers of the three timeouts are cancelled
    loop.run(4.0, lambda: [loop.call_soon(seen.clear), *(loop.call_soon(int) for _ in range(MOST_STEPS))])
    assert loop.next_at == 4.0  # the rest has the next turn


def test_values_come_back_and_nothing_else_is_built() -> None:
    instance = make.instance()
    told = (instance, [Verb.CREATE, None], {"at": make.NOW}, frozenset({1}))
    assert values.decode(values.encode(told)) == told
    for error in (StaleWrite("Too late.", attempt="a"), RpcTimeout("No reply."), TimeoutError("x")):
        found = values.decode_error(values.encode_error(error))
        assert (type(found), str(found)) == (type(error), str(error))
    for harmful in (os.system, subprocess.Popen, values.name_of, eval):
        with pytest.raises(StateError, match="not a class of values"):
            values.decode(pickle.dumps(harmful))
    with pytest.raises(StateError, match="cannot be read"):
        values.decode(b"\x80\x05.")


def test_a_file_ends_at_its_last_whole_frame_and_at_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(b"of the process before")

    async def write() -> None:
        file = RecordFile(path, 200, InlineWorkers())
        file.add((Kind.HEAD, "first"))
        await file.flush()
        file.add((Kind.VALUE, "id", os.urandom(500)))
        await file.flush()
        assert file.ended
        await file.close()

    asyncio.run(write())
    assert (tmp_path / "r.1").read_bytes() == b"of the process before"
    assert list(entries_of(path)) == [(Kind.HEAD, "first")]
    frame = frame_of([(Kind.TICK, 1.0, 2.0)])
    whole = path.read_bytes()
    for torn in (frame[:3], frame[:-1], frame[:-1] + bytes([frame[-1] ^ 1])):
        path.write_bytes(whole + torn)
        assert list(entries_of(path)) == [(Kind.HEAD, "first")]
    path.write_bytes(whole + frame)
    assert len(list(entries_of(path))) == 2


class _Database:
    """Transactions that wait until they are let go, or never end."""

    def __init__(self) -> None:
        self.turns: dict[str, asyncio.Event] = {}
        self.cancelled: list[str] = []
        self.recorded: Callable[[], None] = lambda: None

    async def write(self, fn: Callable[..., Any], name: str) -> object:
        try:
            await self.turns.setdefault(name, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        self.recorded()
        return fn(None, name)

    def on_recorded(self, recorded: Callable[[], None]) -> None:
        self.recorded = recorded


def step(_tx: object, name: str) -> object:
    """A transaction."""
    if name == "refused":
        raise StaleWrite("Too late.")
    return {"function": (lambda: None)} if name == "odd" else (name, make.instance())


def body_of(seen: list[str], order: Callable[[str], Awaitable[None]] | None = None) -> Callable[..., Any]:
    """Code with every kind of input.  `order`: what happens outside at a word of the code; None in a replay."""

    async def body(rooms: Rooms, started: Callable[[], None], stopping: asyncio.Future[None]) -> None:
        rooms.db.on_recorded(lambda: seen.append("recorded"))

        async def serve(subject: str, payload: bytes) -> bytes:
            seen.append(f"{subject} {payload!r} at {rooms.clock.monotonic()} {rooms.clock.now()}")
            await rooms.bus.publish("told", rooms.clock.new_id().encode())
            return payload + rooms.clock.new_id().encode()

        await rooms.bus.subscribe("asked", serve)
        started()
        seen.append(f"{rooms.clock.random.random()} {rooms.clock.new_secret(8)}")
        try:
            async with asyncio.timeout(0.02):
                await rooms.db.write(step, "slow")  # type: ignore[arg-type]
        except TimeoutError:
            seen.append("cancelled")
        async with asyncio.TaskGroup() as group:
            for name in ("two", "one", "refused"):
                group.create_task(write(rooms, name))
        seen.append(repr(await rooms.bus.request("other", b"q", 5)))
        await stopping

    async def write(rooms: Rooms, name: str) -> None:
        try:
            found = await rooms.db.write(step, name)  # type: ignore[arg-type]
        except StaleWrite as exc:
            found = exc
        seen.append(f"{name}: {found!r}"[:40])

    return body


async def recorded(path: Path, seen: list[str]) -> None:
    """Record the code, with its transactions ending in another order than they began."""
    db, clock, hub = _Database(), SystemClock(), MemoryHub()
    file = RecordFile(path, 1 << 20, InlineWorkers())
    async with MemoryBus(hub, clock) as other:

        async def answer(_subject: str, payload: bytes) -> bytes:
            return b"a" + await other.request("asked", payload, 5)

        await other.subscribe("other", answer)
        bus = MemoryBus(hub, clock)
        recorder = Recorder(Rooms(clock, bus, cast(Database, db)), file, {})
        async with bus, asyncio.TaskGroup() as group:
            await recorder.start(body_of(seen))
            keep = group.create_task(recorder.keep())
            while "refused" not in db.turns:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            for name in ("refused", "one", "two"):
                db.turns[name].set()
                await asyncio.sleep(0)
            while not any(line.startswith("b'a") for line in seen):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            assert db.cancelled == ["slow"]
            keep.cancel()
        await recorder.close()
        await file.close()


def replayed(path: Path, seen: list[str]) -> Outcome:
    entries = list(entries_of(path))[1:]
    return Player(entries, lambda *_: None).play(body_of(seen))


def test_a_replay_has_the_same_inputs_in_the_same_order(tmp_path: Path) -> None:
    first, second = list[str](), list[str]()
    asyncio.run(recorded(tmp_path / "r", first))
    outcome = replayed(tmp_path / "r", second)
    assert outcome.difference is None
    assert (outcome.messages, len(first)) == (1, 10), first
    assert second == first


def test_other_calls_leave_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(recorded(tmp_path / "r", []))
    entries = list(entries_of(tmp_path / "r"))
    calls = [number for number, entry in enumerate(entries) if entry[0] == Kind.CALL]
    for number in calls:  # each call is compared
        number_of, name, chain = entries[number][1:]
        changed = [*entries[:number], (Kind.CALL, number_of, name, chain ^ 1), *entries[number + 1 :]]
        outcome = Player(changed[1:], lambda *_: None).play(body_of([]))
        assert outcome.difference is not None
        assert (outcome.difference.entry, outcome.difference.done) == (number, f"{name} with other arguments")
    del entries[calls[-1]]
    assert Player(entries[1:], lambda *_: None).play(body_of([])).difference is not None


def test_a_result_that_is_no_value_ends_the_record_and_not_the_process(tmp_path: Path) -> None:
    async def run() -> None:
        file = RecordFile(tmp_path / "r", 1 << 20, InlineWorkers())
        db = _Database()
        recorder = Recorder(Rooms(SystemClock(), cast(Any, None), cast(Database, db)), file, {})
        db.turns["odd"] = asyncio.Event()
        db.turns["odd"].set()

        async def body(rooms: Rooms, started: Callable[[], None], _stopping: asyncio.Future[None]) -> None:
            await rooms.db.write(step, "odd")  # type: ignore[arg-type]
            started()

        await recorder.start(body)
        assert file.ended
        await recorder.close()

    asyncio.run(run())


def test_the_one_box_refuses_a_record(tmp_path: Path) -> None:
    async def start() -> None:
        settings = load(overrides={("DEFAULT", "state_path"): str(tmp_path), ("record", "file"): str(tmp_path / "r")})
        async with one_box(settings, SystemClock(), Failpoints()):
            pytest.fail("it started")

    with pytest.raises(ConfigError, match="the one box has no record"):
        asyncio.run(start())
