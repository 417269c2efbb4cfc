# SPDX-License-Identifier: Apache-2.0
"""Which functions conflict with other transactions now.

Writes run beside each other.  After a conflict a function runs alone, with all other writes waiting, so that it cannot
conflict again.  While there are conflicts, the calls of the same function begin alone: twenty creates in one project
all change the same row, and each of them would otherwise run twice.
"""

from collections.abc import Callable
from typing import Any

from kilonova.base.clock import Clock

REMEMBERED_S = 5.0
"""How long after its last conflict a function runs alone from the start."""


class Contention:
    """The functions with a conflict in the last REMEMBERED_S."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.until: dict[str, float] = {}

    def of(self, fn: Callable[..., Any]) -> "Contended":
        """What is known of this function."""
        return Contended(self, f"{getattr(fn, '__module__', '')}.{getattr(fn, '__qualname__', '')}")


class Contended:
    """One call of a function."""

    def __init__(self, contention: Contention, name: str) -> None:
        self._contention, self._name, self._noted = contention, name, False

    def now(self) -> bool:
        """Whether the next attempt runs alone."""
        return self._noted or self._contention.until.get(self._name, 0.0) > self._contention.clock.monotonic()

    def note(self) -> None:
        """There was a conflict."""
        self._noted = True
        self._contention.until[self._name] = self._contention.clock.monotonic() + REMEMBERED_S
