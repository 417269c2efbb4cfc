# SPDX-License-Identifier: Apache-2.0
"""Refused logins: they are counted, logged up to a limit, and answered after a delay.

There is no lock-out: only the answer to a wrong password is delayed, never the check of the next password.
"""

import ipaddress
from collections.abc import Sequence

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import KilonovaError, Overloaded
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.config.api import Network
from kilonova.identity.failures import Failures
from kilonova.identity.turns import Asker

log = structlog.get_logger(__name__)

WINDOW_S = 60.0
LINES = 10
"""Log lines in a window; further refusals are logged as a number at the end of the window."""

_HOST_BITS = 64
# A client with one IPv6 address has all addresses of its /64.


class LoginLimits:
    """One per process; `tasks` log the refusals of the last window."""

    def __init__(self, clock: Clock, metrics: Metrics, trusted: Sequence[Network], tasks: Supervisor) -> None:
        self._clock, self._metrics, self._trusted = clock, metrics, trusted
        self._failures = Failures(clock)
        self._until_s = 0.0
        self._logged: set[tuple[str, str, str]] = set()
        self._untold = 0
        tasks.periodic("refused-log-ins", WINDOW_S, self._round, limit_s=1)

    def asker(self, peer: str, user: str) -> Asker:
        """The peer: the address of the request, and the user in the request."""
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return Asker(peer, user)
        mapped = getattr(address, "ipv4_mapped", None)
        address = mapped or address
        trusted = any(address in network for network in self._trusted)
        if address.version == 6:
            peer = str(ipaddress.ip_network((address, _HOST_BITS), strict=False))
        return Asker(peer if mapped is None else str(mapped), user, trusted)

    def succeeded(self, asker: Asker) -> None:
        """The peer has logged in: its count starts again."""
        self._failures.succeeded(asker)

    async def refused(self, asker: Asker, why: KilonovaError, user_id: str | None) -> None:
        """Count and log the refusal, and wait before the answer.

        `user_id` is the id of a known user.  The text of an unknown name is not logged, because it may be a password.
        """
        reason = "overloaded" if isinstance(why, Overloaded) else "wrong"
        self._metrics.log_in_refused(reason)
        self._report(reason, asker.peer, user_id or "unknown")
        delay_s = self._failures.delay_s(asker)
        if delay_s:
            await self._clock.sleep(delay_s)

    def _report(self, reason: str, peer: str, user: str) -> None:
        now = self._clock.monotonic()
        if now >= self._until_s:
            self._close_window()
            self._until_s = now + WINDOW_S
        key = (reason, peer, user)
        if key in self._logged or len(self._logged) >= LINES:
            self._untold += 1
            return
        self._logged.add(key)
        log.warning("a log-in was refused", reason=reason, peer=peer, user=user)

    async def _round(self) -> None:
        if self._clock.monotonic() >= self._until_s:
            self._close_window()

    def _close_window(self) -> None:
        """Log how many refusals had no line of their own, if there were any."""
        if self._untold:
            log.warning("more log-ins were refused", count=self._untold)
        self._logged.clear()
        self._untold = 0
