# SPDX-License-Identifier: Apache-2.0
"""Pauses between the attempts of a retry loop."""

import math
from dataclasses import dataclass

from kilonova.base.clock import Clock


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with jitter: pauses of `first_s` seconds, doubled up to `most_s`, each multiplied by a random
    factor in `jitter`, so that many clients do not retry at the same moment."""

    first_s: float
    most_s: float
    jitter: tuple[float, float] = (0.8, 1.2)

    def start(self, clock: Clock) -> "Pauses":
        """The pauses of one loop."""
        return Pauses(self, clock)


class Pauses:
    """The pauses of one retry loop."""

    def __init__(self, backoff: Backoff, clock: Clock) -> None:
        self._backoff, self._clock = backoff, clock
        self._next_s = backoff.first_s

    def next_s(self) -> float:
        """The next pause in seconds; the one after it is longer."""
        pause_s = self._next_s * self._clock.random.uniform(*self._backoff.jitter)
        self._next_s = min(self._next_s * 2, self._backoff.most_s)
        return pause_s

    async def wait(self, at_most_s: float = math.inf) -> None:
        """Sleep for the next pause, or for `at_most_s` seconds if that is shorter."""
        await self._clock.sleep(min(self.next_s(), at_most_s))

    def reset(self) -> None:
        """Begin with the shortest pause again, after a success."""
        self._next_s = self._backoff.first_s
