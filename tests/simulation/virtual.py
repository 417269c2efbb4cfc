# SPDX-License-Identifier: Apache-2.0
"""Virtual time: a loop that never waits, a clock and a network that follow from a seed."""

import asyncio
import selectors
import uuid
from collections import Counter
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

from kilonova.rpc.memory import Fate

T = TypeVar("T")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Deadlock(AssertionError):
    """Nothing can go on and no timer is set: somebody waits for ever."""


class _Selector(selectors.SelectSelector):
    """Never waits: it looks, and time goes on by as much as it would have waited.  Without threads and sockets it need
    not look either."""

    def __init__(self, *, looks: bool) -> None:
        super().__init__()
        self.now, self._looks = 0.0, looks

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0) if self._looks else []
        if not ready:
            if timeout is None:
                raise Deadlock
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is virtual."""

    def __init__(self, *, looks: bool = True) -> None:
        self._virtual = _Selector(looks=looks)
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


class SimClock:
    """The Clock of a simulation."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.jumped = timedelta(0)
        """How far somebody has put the wall clock from where it was."""

    @property
    def random(self) -> Random:
        return self._random

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.monotonic()) + self.jumped

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def new_id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def new_secret(self, n_bytes: int) -> str:
        return self._random.randbytes(n_bytes).hex()


LATE_S = (6.0, 60.0)
"""How late a late copy comes: after its sender has asked again, and after what it asked for was done."""

MOST_LOST = 3
"""Attempts of one call that lose a message in a row.  A caller tries four times: what then fails, fails honestly, and
is no story of an accepted request any more."""


class Network:
    """Decides over each message.  `loss`, `doubling` and `late` are probabilities, delays are up to `delay_s` seconds;
    of a host's message that is `late` a second copy comes when nobody waits for it any more, in half of the cases
    without the first."""

    def __init__(self, random: Random, *, loss: float, doubling: float, delay_s: float, late: float = 0.0) -> None:
        self._random, self._loss, self._doubling, self._delay_s = random, loss, doubling, delay_s
        self._late = late
        self._lost: Counter[str] = Counter()
        """By subject, since the last reply that arrived."""

    def fate(self, subject: str) -> Fate:
        if self._late and subject.startswith("conductor.host.") and self._random.random() < self._late:
            return self._much_later(subject)
        roll = self._random.random()
        copies = 0 if roll < self._loss else 2 if roll < self._loss + self._doubling else 1
        asked = subject.removeprefix("reply.")
        if copies == 0 and self._lost[asked] >= MOST_LOST:
            copies = 1
        if copies == 0:
            self._lost[asked] += 1
        elif asked != subject:
            self._lost[asked] = 0
        return Fate(tuple(self._random.uniform(0.0001, self._delay_s) for _ in range(copies)))

    def _much_later(self, subject: str) -> Fate:
        later = self._random.uniform(*LATE_S)
        first = self._random.random() < 0.5 or self._lost[subject] >= MOST_LOST
        if not first:
            self._lost[subject] += 1
        return Fate((self._random.uniform(0.0001, self._delay_s), later) if first else (later,))


def run_virtually(main: Coroutine[Any, Any, T], *, looks: bool = True) -> T:
    """Run to its end on a loop of its own; with `looks` also what threads and sockets bring."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(looks=looks)) as runner:
        return runner.run(main)
