# SPDX-License-Identifier: Apache-2.0
"""Each transaction of the conductor has failpoints with its name; a database and a bus break at theirs."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar, cast

import pytest

import kilonova.conductor
from kilonova.base.clock import SystemClock
from kilonova.base.failpoints import Failpoints
from kilonova.conductor.failpoints import TRANSACTIONS
from kilonova.db.breakable import BreakableDatabase
from kilonova.db.engine import Database
from kilonova.rpc import wire
from kilonova.rpc.memory import MemoryBus, MemoryHub
from kilonova.wiring.failpoints import breakable_bus, known_names
from tests import make

T = TypeVar("T")
ROOM = Path(kilonova.conductor.__file__).parent
WHOLE_METHODS = {"transaction"}
"""The transactions named `edit`: an endpoint makes their handlers."""


def written() -> Iterator[tuple[str, str]]:
    """The last name of each function that the conductor passes to `Database.write`, with its file."""
    for path in sorted(ROOM.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="_db"), attr="write"), args=[first, *_]):
                    yield ast.unparse(first).rpartition(".")[2], str(path.relative_to(ROOM))


def test_each_transaction_has_a_name() -> None:
    functions = {fn.__name__ for fn in TRANSACTIONS}
    missing = [(name, file) for name, file in written() if name not in functions | WHOLE_METHODS]
    assert not missing, "name them in kilonova.conductor.failpoints"
    assert len(set(TRANSACTIONS.values())) == len(TRANSACTIONS)


def test_the_names_of_a_box_are_those_of_its_parts() -> None:
    parts = [known_names(role) for role in ("api", "conductor", "compute")]
    assert known_names("api", "conductor", "compute") == frozenset().union(*parts)
    assert "write.accept.done" in parts[1] - parts[0] - parts[2]
    assert {"reply.finish", "write.finish.begin"} <= parts[1]
    assert {"call.finish.begin", "reply.wake"} <= parts[2]


class Recorded(Failpoints):
    def __init__(self) -> None:
        super().__init__({"call.leave.done": lambda: None})
        self.reached: list[str] = []

    def hit(self, name: str) -> None:
        self.reached.append(name)


class Noted:
    """As much of a Database as a write needs."""

    def __init__(self, reached: list[str]) -> None:
        self._reached = reached

    async def write(self, fn: Callable[..., T], *args: object) -> T:
        self._reached.append("written")
        return fn(None, *args)


def test_a_transaction_breaks_before_it_begins_and_after_it_is_committed() -> None:
    points = Recorded()

    def finish(_tx: object, number: int) -> int:
        return number

    db = BreakableDatabase(cast("Database", Noted(points.reached)), points, {finish: "finish"})
    assert make.run(db.write(finish, 7)) == 7
    assert make.run(db.write(lambda _tx: 8)) == 8
    named, other = (["write.finish.begin", "written", "write.finish.done"], ["write.edit.begin", "written"])
    assert points.reached == [*named, *other, "write.edit.done"]


@pytest.mark.parametrize(
    ("method", "reached"),
    [("wake", ["call.wake.begin", "reply.wake", "call.wake.done"]), ("console_output", [])],
)
def test_a_message_that_changes_something_breaks_before_and_after_it(method: str, reached: list[str]) -> None:
    points = Recorded()

    async def answer(_subject: str, _payload: bytes) -> bytes:
        points.reached and points.reached.append("handled")
        return b"+"

    async def body() -> None:
        async with MemoryBus(MemoryHub(), SystemClock()) as bus:
            assert breakable_bus(bus, Failpoints()) is bus
            breaking = breakable_bus(bus, points)
            await breaking.subscribe("s", answer)
            payload = wire.encode_request(wire.Request(method, 1, 5.0, b"{}"))
            assert await breaking.request("s", payload, 5.0) == b"+"
            assert await breaking.request("s", b"no request", 5.0) == b"+"

    make.run(body())
    assert [name for name in points.reached if name != "handled"] == reached
    assert not reached or points.reached[1] == "handled"
