# SPDX-License-Identifier: Apache-2.0
"""stop: the guest is asked to shut itself down, and is switched off when it does not."""

from kilonova.compute.operation import Job, Operation, Step
from kilonova.objects.states import PowerState, Verb

POLL_S = 0.25
"""Between two looks at a guest that was asked to shut down."""

OFF = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED})
DEAF = OFF | {PowerState.SUSPENDED}
"""There is nobody to ask."""


async def is_off(job: Job) -> bool:
    """By the hypervisor's own word; a guest that it does not know is off."""
    return await _is_in(job, OFF)


async def _is_in(job: Job, powers: frozenset[PowerState]) -> bool:
    state = await job.tools.driver.guest_state(job.instance.id)
    return state is None or state.power in powers


async def shut_down(job: Job) -> None:
    """Ask, then wait for at most the configured time.  Ends quietly either way: the next step looks."""
    clock = job.tools.clock
    deadline = clock.monotonic() + job.tools.settings.shutdown_timeout
    if await _is_in(job, DEAF):
        return
    await job.tools.driver.shutdown(job.instance.id)
    while clock.monotonic() < deadline:
        await clock.sleep(POLL_S)
        if await is_off(job):
            return


async def power_off(job: Job) -> None:
    if not await is_off(job):
        await job.tools.driver.power_off(job.instance.id)


STOP = Operation(Verb.STOP, (Step("shutdown", shut_down, interruptible=True), Step("power-off", power_off)))
