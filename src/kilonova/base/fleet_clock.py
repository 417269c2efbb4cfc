# SPDX-License-Identifier: Apache-2.0
"""One time for a fleet, although the clocks of its machines differ by minutes.

Conductors and API processes use the time of the database's clock while their own clock is wrong: tokens, signed URLs,
deadlines and reports are made by one process and judged by another one.
"""

from datetime import datetime, timedelta

import structlog

from kilonova.base.clock import Clock, Random

log = structlog.get_logger(__name__)

TOLERATED = timedelta(seconds=2)
"""A smaller difference is not corrected: the time would step without need."""
REPORTED = timedelta(seconds=5)
"""A larger difference is reported (the doctor's warning begins there too)."""
_AHEAD = "the clock of this machine is ahead: let NTP set all clocks"
_BEHIND = "the clock of this machine is behind: let NTP set all clocks"
SLOW_S = 1.0
"""A clock whose answer took longer is not compared: the answer is too old."""


class ClockWatch:
    """Logs one line when the clock of this machine begins to differ from another clock, and one when it agrees."""

    def __init__(self, other: str) -> None:
        self._other, self._differs = other, False

    def look(self, ahead: timedelta) -> None:
        """This machine's clock is so far ahead of the other one; negative: behind."""
        differs = abs(ahead) > REPORTED
        if differs and not self._differs:
            message = _AHEAD if ahead > timedelta(0) else _BEHIND
            log.warning(message, compared_with=self._other, seconds=round(abs(ahead.total_seconds())))
        elif self._differs and not differs:
            log.warning("the clocks agree again", compared_with=self._other)
        self._differs = differs


class FleetClock:
    """The clock of this machine, corrected by what `follow` receives."""

    def __init__(self, machine: Clock) -> None:
        self._machine, self._ahead = machine, timedelta(0)
        self._watch = ClockWatch("the database")

    @property
    def random(self) -> Random:
        return self._machine.random

    def now(self) -> datetime:
        return self._machine.now() - self._ahead

    def monotonic(self) -> float:
        return self._machine.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._machine.sleep(seconds)

    def new_id(self) -> str:
        return self._machine.new_id()

    def new_secret(self, n_bytes: int) -> str:
        return self._machine.new_secret(n_bytes)

    def follow(self, theirs: datetime, took_s: float) -> None:
        """The database's clock showed `theirs` within the last `took_s` seconds."""
        if took_s > SLOW_S:
            return
        ahead = ahead_of(theirs, self._machine.now(), took_s)
        self._watch.look(ahead)
        if abs(ahead - self._ahead) > TOLERATED:
            self._ahead = ahead if abs(ahead) > TOLERATED else timedelta(0)


def ahead_of(theirs: datetime, now: datetime, took_s: float) -> timedelta:
    """How far `now` is ahead of a clock that showed `theirs` at some moment of the last `took_s` seconds."""
    return now - timedelta(seconds=took_s / 2) - theirs
