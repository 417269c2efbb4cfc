# SPDX-License-Identifier: Apache-2.0
"""Refused log-ins: who it was, a bounded number of lines, and the number of the rest."""

import asyncio
import ipaddress
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from structlog.testing import capture_logs

from kilonova.api.http.login_limits import LINES, WINDOW_S, LoginLimits
from kilonova.base.clock import SystemClock
from kilonova.base.errors import Overloaded, Unauthorized
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.config.api import Network
from kilonova.identity.turns import Asker
from tests.make import run


class SetClock(SystemClock):
    """Stands at `at_s`; rounds never come, and what is held back is not."""

    at_s = 100.0

    def monotonic(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        if seconds > WINDOW_S / 2:
            await asyncio.Event().wait()


@asynccontextmanager
async def log_ins(clock: SetClock, metrics: Metrics, *trusted: Network) -> AsyncGenerator[LoginLimits]:
    async with Supervisor(clock) as tasks:
        yield LoginLimits(clock, metrics, trusted, tasks)


def test_lines_are_few_and_nothing_is_left_uncounted() -> None:
    async def main() -> None:
        clock, metrics = SetClock(), Metrics()
        async with log_ins(clock, metrics) as desk:
            with capture_logs() as lines:
                for number in range(100):
                    await desk.refused(desk.asker(f"192.0.2.{number % 50}", "ann"), Unauthorized("wrong"), "u2")
                assert len(lines) == LINES
                clock.at_s += WINDOW_S
                await desk.refused(desk.asker("", "ann"), Overloaded("too many"), None)
        assert lines[LINES] == {"event": "more log-ins were refused", "count": 90, "log_level": "warning"}
        assert (lines[-1]["reason"], lines[-1]["user"], len(lines)) == ("overloaded", "unknown", LINES + 2)
        assert metrics.value("kilonova_refused_log_ins_total", reason="wrong") == 100
        assert metrics.value("kilonova_refused_log_ins_total", reason="overloaded") == 1

    run(main())


def test_who_asks() -> None:
    async def main() -> None:
        trusted = (ipaddress.ip_network("198.51.100.0/24"), ipaddress.ip_network("2001:db8:1::/48"))
        async with log_ins(SetClock(), Metrics(), *trusted) as desk:
            for peer, asker in (
                ("192.0.2.1", Asker("192.0.2.1", "ann")),
                ("::ffff:192.0.2.1", Asker("192.0.2.1", "ann")),
                ("::ffff:198.51.100.7", Asker("198.51.100.7", "ann", trusted=True)),
                ("198.51.100.7", Asker("198.51.100.7", "ann", trusted=True)),
                ("2001:db8::1:2:3:4", Asker("2001:db8::/64", "ann")),
                ("2001:db8:1::1", Asker("2001:db8:1::/64", "ann", trusted=True)),
                ("", Asker("", "ann")),
            ):
                assert desk.asker(peer, "ann") == asker

    run(main())
