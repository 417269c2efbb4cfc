# SPDX-License-Identifier: Apache-2.0
"""Two transactions on PostgreSQL, stepped statement by statement.

`Stepper` holds the statements of the engines that it watches until it is told to let the next one pass.  A statement
that waits for a lock of the other transaction does not end; then it is the other one's turn.
"""

import asyncio
import threading
from collections.abc import Awaitable
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event

T = TypeVar("T")

PATIENCE_S = 0.05
"""After this time a statement counts as waiting for a lock."""


class Stepper:
    """Holds the statements of one engine, whose workers run one transaction at a time."""

    def __init__(self, engine: sa.Engine) -> None:
        self._free = threading.Event()
        self._tickets = threading.Semaphore(0)
        self._arrived = threading.Semaphore(0)
        event.listen(engine, "before_cursor_execute", self._hold)

    def _hold(self, *_: Any) -> None:
        if not self._free.is_set():
            self._arrived.release()
            self._tickets.acquire()

    async def step(self, statements: int) -> None:
        """Let so many statements pass, as far as they come."""
        for _ in range(statements):
            if not await asyncio.to_thread(self._arrived.acquire, timeout=PATIENCE_S):
                return
            self._tickets.release()

    def release(self) -> None:
        """Let all further statements pass."""
        self._free.set()
        self._tickets.release(1000)


async def switched(
    first: Awaitable[T], second: Awaitable[T], steppers: tuple[Stepper, Stepper], at: tuple[int, int]
) -> tuple[T | BaseException, T | BaseException]:
    """The first transaction runs `at[0]` statements, then the second `at[1]`, then both run to their ends."""
    running = [asyncio.ensure_future(first), asyncio.ensure_future(second)]
    for stepper, statements in zip(steppers, at, strict=True):
        await stepper.step(statements)
    for stepper in steppers:
        stepper.release()
    one, two = await asyncio.gather(*running, return_exceptions=True)
    return one, two
