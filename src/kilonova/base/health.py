# SPDX-License-Identifier: Apache-2.0
"""Health checks of a process: each tests the complete path to a peer, with a deadline, and returns a reason."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from kilonova.base.clock import Clock
from kilonova.base.errors import KilonovaError


@dataclass(frozen=True, slots=True)
class Check:
    """`probe` returns when the peer is healthy and raises otherwise.  The check fails after `limit_s` seconds."""

    name: str
    probe: Callable[[], Awaitable[object]]
    limit_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is None when the check succeeded."""

    reason: str | None
    took_s: float


async def examine(checks: Sequence[Check], clock: Clock) -> Mapping[str, Verdict]:
    """Run all checks in parallel; results by name.  Ends within the longest limit.  Raises only CancelledError."""

    async def one(check: Check) -> Verdict:
        began = clock.monotonic()
        try:
            async with asyncio.timeout(check.limit_s):
                await check.probe()
            reason = None
        except TimeoutError:
            reason = f"no answer within {check.limit_s:g} s"
        except KilonovaError as exc:
            reason = exc.message
        except Exception as exc:  # a defect in a check is a failed check
            reason = f"the check failed: {type(exc).__name__}"
        return Verdict(reason, clock.monotonic() - began)

    async with asyncio.TaskGroup() as group:
        running = {check.name: group.create_task(one(check)) for check in checks}
    return {name: task.result() for name, task in running.items()}
