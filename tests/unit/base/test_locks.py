# SPDX-License-Identifier: Apache-2.0
"""Locks by key: one at a time for each, forgotten afterwards."""

import asyncio

from kilonova.base.locks import KeyedLocks
from tests import make


def test_one_at_a_time_for_a_key_and_others_beside() -> None:
    async def body() -> None:
        locks = KeyedLocks()
        inside: list[str] = []
        most = 0

        async def hold(key: str) -> None:
            nonlocal most
            async with locks.hold(key):
                assert key not in inside
                inside.append(key)
                most = max(most, len(inside))
                await asyncio.sleep(0)
                inside.remove(key)

        async with asyncio.TaskGroup() as group:
            for n in range(30):
                group.create_task(hold(f"k{n % 3}"))
        assert most == 3
        assert locks._locks == {}  # pyright: ignore[reportPrivateUsage]

    make.run(body())
