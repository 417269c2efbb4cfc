# SPDX-License-Identifier: Apache-2.0
"""stop: the guest receives an ACPI shutdown request, and is powered off when it does not shut down."""

import structlog

from kilonova.base.errors import HypervisorError, NativeCallTimeout
from kilonova.compute.operation import Job, Operation, Step
from kilonova.compute.operations import look
from kilonova.objects.guest import NOT_RESPONDING, GuestState
from kilonova.objects.states import PowerState, Verb

log = structlog.get_logger(__name__)

POLL_S = 0.25
"""Between two reads of a guest that received a shutdown request."""

MARGIN_S = 60.0
"""The part of the action's time that is reserved for the power-off and the steps after it."""

PRESS_AGAIN_S = 10.0
"""Between two presses of the power button, as in Nova (its shutdown_retry_interval): a guest in early boot ignores
them."""

OFF = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED})


async def is_off(job: Job) -> bool:
    """Whether the guest is off, as the hypervisor reports; a guest that it does not know is off."""
    state = await job.tools.driver.guest_state(job.instance.id)
    return state is None or state.power in OFF


def _cannot_answer(state: GuestState | None) -> bool:
    """Whether the guest cannot receive a request, or would not answer it."""
    return state is None or state.power in OFF | {PowerState.SUSPENDED} or state.reason == NOT_RESPONDING


def timeout_s(job: Job) -> float:
    """The time for the guest to shut itself down: the time that its image requests, within the action's time, or the
    configured time."""
    requested = job.instance.image.properties.get("os_shutdown_timeout")
    if requested is None:
        return job.tools.settings.shutdown_timeout
    allowed = (job.action.deadline - job.action.started_at).total_seconds() - MARGIN_S
    return max(0.0, min(float(requested), allowed))


async def shut_down(job: Job) -> None:
    """Send the request, repeat it from time to time, and wait for at most the configured time.  Returns in either
    case: the next step reads the state."""
    clock = job.tools.clock
    deadline = clock.monotonic() + timeout_s(job)
    if _cannot_answer(await job.tools.driver.guest_state(job.instance.id)) or not await _press(job):
        return
    pressed = clock.monotonic()
    while clock.monotonic() < deadline:
        await clock.sleep(POLL_S)
        if await is_off(job):
            return
        if pressed + PRESS_AGAIN_S <= clock.monotonic() < deadline:
            await _press(job)
            pressed = clock.monotonic()


async def _press(job: Job) -> bool:
    """Send one ACPI request. Returns whether it could be sent."""
    try:
        await job.tools.driver.shutdown(job.instance.id)
    except (HypervisorError, NativeCallTimeout) as exc:
        log.info("a shutdown request could not be sent to a guest", instance=job.instance.id, error=exc.message)
        return False
    return True


async def power_off(job: Job) -> None:
    if not await is_off(job):
        await job.tools.driver.power_off(job.instance.id)


STOP = Operation(
    Verb.STOP,
    (
        Step("shutdown", shut_down, interruptible=True),
        Step(
            "power-off",
            power_off,
            no_return="The guest is being powered off: start it when the action has ended.",
        ),
    ),
    look=look.at_disks,
    after_cancel="as before, unless the guest has shut itself down already: then SHUTOFF",
)
