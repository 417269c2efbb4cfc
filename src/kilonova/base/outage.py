# SPDX-License-Identifier: Apache-2.0
"""Logs one line when an outage begins and one when it ends; everything in between is at debug level, but for the first
refusal by a peer of another version: an operator must end that one.
"""

from collections.abc import Generator
from contextlib import contextmanager

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import IncompatibleVersion

log = structlog.get_logger(__name__)


class Outage:
    """The outage of one peer for which several callers wait, each with its own name.

    The first caller without an answer begins the outage.  It ends when each waiting caller has received an answer or
    has stopped waiting.  For one event loop.
    """

    def __init__(self, what: str, clock: Clock) -> None:
        self._what, self._clock = what, clock
        self._since: float | None = None
        self._waiting: set[str] = set()
        self._waited = 0
        self._refused = False

    @property
    def lasts(self) -> bool:
        """Whether any caller waits."""
        return self._since is not None

    def waits(self, who: str, error: object) -> None:
        """`who` received no answer and will try again."""
        message, facts = f"waiting for {self._what}", {"who": who, "error": str(error)}
        is_refusal = isinstance(error, IncompatibleVersion)
        if self._since is None:
            self._since, self._waited, self._refused = self._clock.monotonic(), 0, is_refusal
            log.warning(message, **facts)
        elif is_refusal and not self._refused:
            self._refused = True
            log.warning(message, **facts)
        else:
            log.debug(message, **facts)
        if who not in self._waiting:
            self._waiting.add(who)
            self._waited += 1

    def answered(self, who: str) -> None:
        """`who` received an answer.  Does nothing when it was not waiting."""
        self._ends(who, f"{self._what} answers again")

    def gave_up(self, who: str) -> None:
        """`who` does not try again."""
        self._ends(who, f"nothing waits for {self._what} any more")

    @contextmanager
    def ends_with(self, who: str) -> Generator[None]:
        """A block that counts as answered when it returns, and as unanswered when it raises."""
        try:
            yield
        except BaseException:
            self.gave_up(who)
            raise
        self.answered(who)

    def _ends(self, who: str, message: str) -> None:
        if self._since is None or who not in self._waiting:
            return
        self._waiting.remove(who)
        if not self._waiting:
            lasted_s = round(self._clock.monotonic() - self._since, 1)
            self._since = None
            log.warning(message, lasted_s=lasted_s, waited=self._waited)
