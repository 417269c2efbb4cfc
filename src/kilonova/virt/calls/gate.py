# SPDX-License-Identifier: Apache-2.0
"""Places that callers take and give back."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any


class Gate:
    """Places, taken first come first served.  Each is whatever was put there; event loop only."""

    __slots__ = ("_waiters", "free", "taken")

    def __init__(self, places: Iterable[Any]) -> None:
        self.free: deque[Any] = deque(places)
        self.taken = 0
        self._waiters: deque[asyncio.Future[Any]] = deque()

    @property
    def open(self) -> bool:
        """Whether `take` would not wait."""
        return bool(self.free) and not self._waiters

    async def take(self) -> Any:
        if self.open:
            self.taken += 1
            return self.free.popleft()
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back(waiter.result())  # the place came together with the cancellation
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def give_back(self, place: Any) -> None:
        self.taken -= 1
        self.add(place)

    def add(self, place: Any) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self.taken += 1
                waiter.set_result(place)
                return
        self.free.append(place)

    def refuse(self, error: Callable[[], Exception]) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error())

    @property
    def waiting(self) -> bool:
        return bool(self._waiters)

    @property
    def unused(self) -> bool:
        return self.taken == 0 and not self._waiters
