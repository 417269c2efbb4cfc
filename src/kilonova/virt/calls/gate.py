# SPDX-License-Identifier: Apache-2.0
"""Slots that callers take and give back."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any


class Gate:
    """Slots, given out first come first served. A slot is any object that was added. Event loop only."""

    __slots__ = ("_waiters", "free", "taken")

    def __init__(self, slots: Iterable[Any]) -> None:
        self.free: deque[Any] = deque(slots)
        self.taken = 0
        self._waiters: deque[asyncio.Future[Any]] = deque()

    @property
    def open(self) -> bool:
        """Whether `take` returns without waiting."""
        return bool(self.free) and not self._waiters

    async def take(self) -> Any:
        """Wait for a slot and take it."""
        if self.open:
            self.taken += 1
            return self.free.popleft()
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back(waiter.result())  # the slot and the cancellation arrived together
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def give_back(self, slot: Any) -> None:
        """Return a slot that was taken."""
        self.taken -= 1
        self.add(slot)

    def add(self, slot: Any) -> None:
        """Add a slot: the first waiter gets it."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self.taken += 1
                waiter.set_result(slot)
                return
        self.free.append(slot)

    def refuse(self, error: Callable[[], Exception]) -> None:
        """Raise `error()` in every waiter."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error())

    @property
    def waiting(self) -> bool:
        """Whether a caller waits for a slot."""
        return bool(self._waiters)

    @property
    def unused(self) -> bool:
        """Whether no slot is taken and no caller waits."""
        return self.taken == 0 and not self._waiters
