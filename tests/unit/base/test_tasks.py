# SPDX-License-Identifier: Apache-2.0
"""Tasks end with their owner, fail loudly, and a round that hangs delays no other."""

import asyncio
from itertools import pairwise

import pytest

from kilonova.base.context import REQUEST_ID, serving
from kilonova.base.tasks import Supervisor
from tests.simulation.virtual import SimClock, run_virtually


def test_leaving_cancels_what_still_runs() -> None:
    async def body() -> None:
        async with Supervisor(SimClock(1)) as tasks:
            task = tasks.spawn("for ever", asyncio.Event().wait())
            await asyncio.sleep(0)
        assert task.cancelled()

    run_virtually(body())


def test_a_defect_in_a_task_ends_the_group() -> None:
    async def fail() -> None:
        raise ValueError("defect")

    async def body() -> None:
        async with Supervisor(SimClock(1)) as tasks:
            tasks.spawn("fails", fail())
            await asyncio.sleep(60)

    with pytest.raises(ExceptionGroup) as caught:
        run_virtually(body())
    assert caught.group_contains(ValueError, match="defect")


def test_a_round_that_hangs_or_fails_is_given_up_and_the_next_one_comes() -> None:
    clock = SimClock(1)
    began: list[float] = []

    async def work() -> None:
        began.append(clock.monotonic())
        if len(began) == 1:
            await asyncio.Event().wait()
        if len(began) == 2:
            raise OSError("no")

    async def body() -> None:
        async with Supervisor(clock) as tasks:
            tasks.periodic("work", 10, work, limit_s=2)
            await asyncio.sleep(60)

    run_virtually(body())
    assert len(began) >= 5
    assert all(8 < after - before < 13 for before, after in pairwise(began))


def test_one_periodic_task_delays_no_other() -> None:
    clock = SimClock(1)
    rounds = 0

    async def hang() -> None:
        await asyncio.Event().wait()

    async def count() -> None:
        nonlocal rounds
        rounds += 1

    async def body() -> None:
        async with Supervisor(clock) as tasks:
            tasks.periodic("hangs", 1, hang, limit_s=1000)
            tasks.periodic("counts", 1, count)
            await asyncio.sleep(100)

    run_virtually(body())
    assert rounds > 90


def test_a_task_does_not_carry_the_request_that_started_it() -> None:
    seen: dict[str, str] = {}

    async def look(name: str) -> None:
        seen[name] = REQUEST_ID.get()

    async def body() -> None:
        async with Supervisor(SimClock(1)) as tasks:
            with serving("req-1"):
                tasks.spawn("once", look("once"))
                tasks.periodic("rounds", 1, lambda: look("rounds"))
                await asyncio.sleep(5)
                await look("itself")

    run_virtually(body())
    assert seen == {"once": "", "rounds": "", "itself": "req-1"}
