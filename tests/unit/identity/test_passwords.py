# SPDX-License-Identifier: Apache-2.0
"""Passwords: right, wrong, and nobody's."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import argon2
import pytest

from kilonova.base.errors import Overloaded
from kilonova.base.threads import DaemonWorkers
from kilonova.identity.passwords import MAX_BYTES, MEMORY_KIB, MOST_WAITING, Passwords
from tests.make import run

T = TypeVar("T")


def test_only_the_right_password_matches() -> None:
    async def main() -> None:
        passwords = Passwords(DaemonWorkers("argon2", 1))
        kept = await passwords.hash("correct horse")
        assert f"m={MEMORY_KIB}" in kept
        assert "correct" not in kept
        assert await passwords.verify(kept, "correct horse")
        assert not await passwords.verify(kept, "battery staple")
        assert not await passwords.verify(kept, "x" * (MAX_BYTES + 1))
        assert not await passwords.verify("no hash", "correct horse")

    run(main())


class _Listening:
    """Workers that remember against which hashes was verified."""

    def __init__(self) -> None:
        self.hashes: list[str] = []

    async def run(self, fn: Callable[..., T], *args: Any) -> T:
        self.hashes.append(args[0])
        return fn(*args)


def test_nobody_costs_as_much_as_somebody() -> None:
    async def main() -> None:
        workers = _Listening()
        passwords = Passwords(workers)
        kept = await passwords.hash("secret")
        workers.hashes.clear()
        assert not await passwords.verify(kept, "wrong")
        assert not await passwords.verify(None, "wrong")
        somebody, nobody = map(argon2.extract_parameters, workers.hashes)
        assert nobody == somebody

    run(main())


class _Stuck:
    """Workers that do their work when `go` is set."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def run(self, fn: Callable[..., T], *args: Any) -> T:
        await self.go.wait()
        return fn(*args)

    def close(self) -> None:
        """Nothing to end."""


def test_only_so_many_wait_and_who_comes_then_is_told_at_once() -> None:
    async def main() -> None:
        workers = _Stuck()
        passwords = Passwords(workers)
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(passwords.verify("no hash", "guess")) for _ in range(MOST_WAITING)]
            await asyncio.sleep(0)
            for call in (passwords.verify(None, "guess"), passwords.hash("new")):
                with pytest.raises(Overloaded, match="try again"):
                    await call
            waiting[0].cancel()
            await asyncio.sleep(0)
            late = group.create_task(passwords.verify("no hash", "guess"))
            workers.go.set()
        assert not late.result()
        assert not await passwords.verify("", "nobody has an empty hash")

    run(main())
