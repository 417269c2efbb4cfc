# SPDX-License-Identifier: Apache-2.0
"""The room of time, ids and randomness.

Nothing else in Kilonova reads a clock or a random source: a Clock is handed down by wiring, so that a simulation can
own all of it.  ruff bans the direct ones.
"""

import asyncio
import secrets
import time
import uuid
from datetime import UTC, datetime
from random import Random
from typing import Protocol

__all__ = ["Clock", "Random", "SystemClock", "new_request_id"]


class Clock(Protocol):
    """Time, ids and randomness of one process."""

    @property
    def random(self) -> Random:
        """The source of randomness for choices and jitter; never for secrets."""
        ...

    def now(self) -> datetime:
        """The wall clock: timezone-aware, UTC.  It may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps; `asyncio.timeout` uses the same clock."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; cancellable."""
        ...

    def new_id(self) -> str:
        """A fresh UUID as text."""
        ...

    def new_secret(self, n_bytes: int) -> str:
        """Unguessable text, URL-safe, of `n_bytes` of entropy."""
        ...


class SystemClock:
    """The real clock of a real process."""

    def __init__(self) -> None:
        self._random = Random()

    @property
    def random(self) -> Random:
        return self._random

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def new_secret(self, n_bytes: int) -> str:
        return secrets.token_urlsafe(n_bytes)


def new_request_id(clock: Clock) -> str:
    """A request id as OpenStack writes it: `req-<uuid>`."""
    return f"req-{clock.new_id()}"
