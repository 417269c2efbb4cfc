# SPDX-License-Identifier: Apache-2.0
"""An event loop without a clock, sockets and threads of its own: what runs in it depends only on what it receives.

The owner of the loop calls `run`, a *turn*: it sets the time, hands in one input, and runs every callback that is
ready.  The order of callbacks follows from the order of turns.  So the same turns lead to the same calls, in another
process too.  Within a turn the time stands still, as it does within one iteration of libuv.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")

MOST_STEPS = 10_000
"""The number of callbacks of one turn.  The others run in the next turn, so that the owner stays responsive."""
_PURGE = 64
"""So many cancelled timers may be in the heap before it is cleaned."""


class EnclosedLoop(asyncio.AbstractEventLoop):
    """The loop.  A method of the interface that needs the system raises NotImplementedError."""

    def __init__(self) -> None:
        self._now = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._made, self._cancelled = itertools.count(), 0
        self._closed = False

    def run(self, now: float, deliver: Callable[[], object]) -> None:
        """One turn at the time `now`: timers that are due, `deliver`, and all that follows from them."""
        around = asyncio._get_running_loop()
        self._now = max(self._now, now)
        asyncio._set_running_loop(self)
        try:
            self._wake()
            deliver()
            for _ in range(MOST_STEPS):
                if not self._ready:
                    break
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
        finally:
            asyncio._set_running_loop(around)

    @property
    def is_current(self) -> bool:
        """Whether the caller runs in a turn of this loop."""
        return asyncio._get_running_loop() is self

    @property
    def next_at(self) -> float | None:
        """The time at which the next turn is necessary, also without an input; None: only an input can cause one."""
        if self._ready:
            return self._now
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
            self._cancelled -= 1
        return self._timers[0][0] if self._timers else None

    def _wake(self) -> None:
        while self._timers and self._timers[0][0] <= self._now:
            timer = heapq.heappop(self._timers)[2]
            timer._scheduled = False
            self._ready.append(timer)

    # Of asyncio.AbstractEventLoop:

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """No turn follows: tasks that still wait are dropped without a line in the log."""
        self._closed = True

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._made), timer))
        timer._scheduled = True  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
        return timer

    def _timer_handle_cancelled(self, _handle: asyncio.TimerHandle) -> None:
        self._cancelled += 1
        if self._cancelled > _PURGE and self._cancelled * 2 > len(self._timers):
            self._timers = [timer for timer in self._timers if not timer[2].cancelled()]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._closed:
            log.error(context["message"], exc_info=context.get("exception"))
