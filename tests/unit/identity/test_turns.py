# SPDX-License-Identifier: Apache-2.0
"""Turns: fair by peer and by user; who asks too much refuses itself."""

import asyncio

import pytest

from kilonova.base.errors import Overloaded
from kilonova.identity import turns
from kilonova.identity.turns import Asker, Turns
from tests.make import run


class Desk:
    """Askers whose turns take until `end` is set; `served` names them in their order."""

    def __init__(self) -> None:
        self.turns, self.end, self.served = Turns(), asyncio.Event(), list[str]()
        self.tasks: list[asyncio.Task[None]] = []

    async def ask(self, name: str, asker: Asker) -> asyncio.Task[None]:
        async def one() -> None:
            async with self.turns.turn(asker):
                self.served.append(name)
                await self.end.wait()

        task = asyncio.ensure_future(one())
        self.tasks.append(task)
        await asyncio.sleep(0)
        return task

    async def all_served(self) -> list[str]:
        self.end.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        return self.served


def test_peers_take_turns_and_within_them_users_and_trusted_ones_come_first() -> None:
    async def main() -> None:
        desk = Desk()
        await desk.ask("now", Asker("a"))
        for name, asker in (
            ("a-x1", Asker("a", "x")),
            ("a-x2", Asker("a", "x")),
            ("a-x3", Asker("a", "x")),
            ("a-y1", Asker("a", "y")),
            ("b-x1", Asker("b", "x")),
            ("health", Asker("a", "x", trusted=True)),
        ):
            await desk.ask(name, asker)
        assert await desk.all_served() == ["now", "health", "a-x1", "b-x1", "a-y1", "a-x2", "a-x3"]

    run(main())


def test_of_too_many_the_one_who_asks_most_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(turns, "MOST_WAITING", 4)
        desk = Desk()
        await desk.ask("now", Asker("a"))
        flood = [await desk.ask(f"a{number}", Asker("a", "admin")) for number in range(6)]
        other = await desk.ask("b", Asker("b", "admin"))
        trusted = await desk.ask("health", Asker("a", "admin", trusted=True))
        assert await desk.all_served() == ["now", "health", "a0", "b", "a1", "a2"]
        assert [isinstance(task.exception(), Overloaded) for task in flood] == [False] * 3 + [True] * 3
        assert other.exception() is None is trusted.exception()

    run(main())


def test_who_gives_up_while_waiting_or_at_his_turn_holds_up_nobody() -> None:
    async def main() -> None:
        desk = Desk()
        await desk.ask("now", Asker("a"))
        waiting, at_his_turn = await desk.ask("w", Asker("a")), await desk.ask("t", Asker("a"))
        await desk.ask("last", Asker("a"))
        waiting.cancel()
        desk.end.set()
        await desk.tasks[0]
        at_his_turn.cancel()
        assert (await desk.all_served())[-1] == "last"
        async with desk.turns.turn(Asker("a")):
            pass

    run(main())


def test_all_may_give_up_at_once() -> None:
    async def main() -> None:
        desk = Desk()
        for number in range(10):
            await desk.ask(str(number), Asker("a"))
        for task in desk.tasks:
            task.cancel()
        await asyncio.wait(desk.tasks)
        assert all(task.cancelled() for task in desk.tasks)
        async with desk.turns.turn(Asker("a")):
            pass

    run(main())
