# SPDX-License-Identifier: Apache-2.0
"""One line when something goes away, one when it is back; everything between them is for whoever debugs."""

from collections.abc import Generator
from contextlib import contextmanager

import structlog

from kilonova.base.clock import Clock

log = structlog.get_logger(__name__)


class Outage:
    """Of one thing that many wait for at once, each under a name of its own.

    The first who gets no answer begins the outage; it is over when each of those who wait has had an answer, or waits
    no more.  Of one loop.
    """

    def __init__(self, what: str, clock: Clock) -> None:
        self._what, self._clock = what, clock
        self._since: float | None = None
        self._waiting: set[str] = set()
        self._waited = 0

    @property
    def lasts(self) -> bool:
        """Whether anybody waits."""
        return self._since is not None

    def waits(self, who: str, error: object) -> None:
        """`who` had no answer and will ask again."""
        said, facts = f"waiting for {self._what}", {"who": who, "error": str(error)}
        if self._since is None:
            self._since, self._waited = self._clock.monotonic(), 0
            log.warning(said, **facts)
        else:
            log.debug(said, **facts)
        if who not in self._waiting:
            self._waiting.add(who)
            self._waited += 1

    def answered(self, who: str) -> None:
        """`who` had an answer; nothing happens when it did not wait."""
        self._ends(who, f"{self._what} answers again")

    def gave_up(self, who: str) -> None:
        """`who` asks no more."""
        self._ends(who, f"nothing waits for {self._what} any more")

    @contextmanager
    def ends_with(self, who: str) -> Generator[None]:
        """A block that ends with an answer, or, when it raises, without one."""
        try:
            yield
        except BaseException:
            self.gave_up(who)
            raise
        self.answered(who)

    def _ends(self, who: str, said: str) -> None:
        if self._since is None or who not in self._waiting:
            return
        self._waiting.remove(who)
        if not self._waiting:
            lasted_s = round(self._clock.monotonic() - self._since, 1)
            self._since = None
            log.warning(said, lasted_s=lasted_s, waited=self._waited)
