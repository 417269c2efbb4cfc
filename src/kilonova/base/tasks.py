# SPDX-License-Identifier: Apache-2.0
"""Supervised tasks: every task has an owner and a name, and its failure is reported."""

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import structlog

from kilonova.base.clock import Clock
from kilonova.base.context import REQUEST_ID

log = structlog.get_logger(__name__)


OnRound = Callable[[str, float, str], None]
"""Called after each round of a periodic task: its name, its duration in seconds, its result (ok, failed, hung)."""


class Supervisor:
    """A task group whose tasks end with it.

    `spawn` is for work that must not fail silently: an exception ends the whole group.  `periodic` is for work that may
    fail and is tried again: each round has its own time limit, so a round that hangs delays no other task.  Leaving the
    `async with` block cancels the tasks that still run.
    """

    def __init__(self, clock: Clock, on_round: OnRound = lambda name, took_s, how: None) -> None:
        self._clock, self._on_round = clock, on_round
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        for task in self._tasks:
            task.cancel()
        return await self._group.__aexit__(kind, exc, trace)

    def spawn(self, name: str, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start `coro` under this group.  It serves no request until it binds one (kilonova.base.context.serving)."""
        context = contextvars.copy_context()
        context.run(REQUEST_ID.set, "")
        task = self._group.create_task(coro, name=name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def periodic(
        self, name: str, period_s: float, work: Callable[[], Awaitable[None]], *, limit_s: float | None = None
    ) -> asyncio.Task[Any]:
        """Run `work` every `period_s` seconds (with a tenth of jitter), each round within `limit_s` (default: period).

        After a round that fails or hangs, the next one starts at its usual time.  The failure is logged with its
        reason; repeated equal failures are logged at debug level until a round succeeds.
        """
        return self.spawn(name, self._rounds(name, period_s, work, limit_s or period_s))

    async def _rounds(self, name: str, period_s: float, work: Callable[[], Awaitable[None]], limit_s: float) -> None:
        reported: tuple[str, str] | None = None
        while True:
            await self._clock.sleep(period_s * self._clock.random.uniform(0.95, 1.05))
            began, how = self._clock.monotonic(), "ok"
            try:
                async with asyncio.timeout(limit_s):
                    await work()
            except TimeoutError:
                how, trouble = "hung", ("TimeoutError", "")
                level = logging.DEBUG if reported == trouble else logging.WARNING
                log.log(level, "periodic task hung and was cancelled", task=name, limit_s=limit_s)
                reported = trouble
            except Exception as exc:
                how, trouble = "failed", (type(exc).__name__, str(exc))
                level = logging.DEBUG if reported == trouble else logging.WARNING
                log.log(level, "periodic task failed", task=name, error=str(exc), kind=type(exc).__name__)
                reported = trouble
            else:
                reported = None
            self._on_round(name, self._clock.monotonic() - began, how)


def count() -> int:
    """The number of tasks of the running event loop that have not ended."""
    return len(asyncio.all_tasks())
