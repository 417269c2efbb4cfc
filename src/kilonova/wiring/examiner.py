# SPDX-License-Identifier: Apache-2.0
"""Runs the doctor's checks for a running service."""

import asyncio

from kilonova.base.clock import Clock
from kilonova.base.errors import HypervisorError
from kilonova.base.tools import run_module
from kilonova.config.handed_on import handed_on
from kilonova.config.load import Settings
from kilonova.objects.examination import ReportedFinding, read_findings
from kilonova.rpcapi.to_host import EXAMINE_S

FRESH_S = 5.0
"""Requests within this time share one examination: an examination costs a second of CPU time."""


class Examiner:
    """Examines this machine, one examination at a time, as a process of its own (see kilonova.doctor.__main__)."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._turn = asyncio.Lock()
        self._found: tuple[ReportedFinding, ...] = ()
        self._ended_s: float | None = None

    async def examine(self) -> tuple[ReportedFinding, ...]:
        """The findings; those of the last examination while it is fresh.  Raises HypervisorError."""
        async with self._turn:
            if self._ended_s is None or self._clock.monotonic() - self._ended_s >= FRESH_S:
                self._found, self._ended_s = await self._run(), self._clock.monotonic()
            return self._found

    async def _run(self) -> tuple[ReportedFinding, ...]:
        output = await run_module("kilonova.doctor", handed_on(self._settings), limit_s=EXAMINE_S)
        try:
            return read_findings(output)
        except ValueError as exc:
            raise HypervisorError("The doctor's findings cannot be read.") from exc
