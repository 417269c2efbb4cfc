# SPDX-License-Identifier: Apache-2.0
"""Whether a process can do what it is for: checks that go the whole way, each with a deadline and a reason."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from kilonova.base.clock import Clock
from kilonova.base.errors import KilonovaError


@dataclass(frozen=True, slots=True)
class Check:
    """`ask` returns when all is well and raises what is wrong; after `limit_s` seconds it is wrong by that."""

    name: str
    ask: Callable[[], Awaitable[object]]
    limit_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is None when all is well."""

    reason: str | None
    took_s: float


async def examine(checks: Sequence[Check], clock: Clock) -> Mapping[str, Verdict]:
    """All checks beside each other, by name.  Ends within the longest limit and never raises but for cancellation."""

    async def one(check: Check) -> Verdict:
        began = clock.monotonic()
        try:
            async with asyncio.timeout(check.limit_s):
                await check.ask()
            reason = None
        except TimeoutError:
            reason = f"no answer within {check.limit_s:g} s"
        except KilonovaError as exc:
            reason = exc.message
        except Exception as exc:  # a check that is itself broken is no health
            reason = f"the check failed: {type(exc).__name__}"
        return Verdict(reason, clock.monotonic() - began)

    async with asyncio.TaskGroup() as group:
        running = {check.name: group.create_task(one(check)) for check in checks}
    return {name: task.result() for name, task in running.items()}
