# SPDX-License-Identifier: Apache-2.0
"""reboot: off and on again, exactly once for any number of replays.

The start token of the new start shows a replay that the start has happened.
"""

from kilonova.compute.operation import Job, Operation, Step
from kilonova.compute.operations import look, stop
from kilonova.compute.operations.create import define, plug_network, start
from kilonova.objects.action_params import RebootParams
from kilonova.objects.states import Verb


async def restarted(job: Job) -> bool:
    """Whether this action's own start has happened, on any boot of the machine."""
    return job.has_started(await job.tools.driver.guest_state(job.instance.id), on_any_boot=True)


async def shut_down(job: Job) -> None:
    is_hard = job.action.params == RebootParams("HARD")  # other operations share this step: they are always soft
    if not is_hard and not await restarted(job):
        await stop.shut_down(job)


async def power_off(job: Job) -> None:
    if not await restarted(job):
        await stop.power_off(job)


async def define_with_own_disks(job: Job) -> None:
    """Define the guest with its own disks only.  A rescue disk has no use any more: a reset of the state leaves it."""
    await define(job)
    if (rescue := job.tools.driver.rescue) is not None:
        await rescue.remove_disk(job.instance.id)


REBOOT = Operation(
    Verb.REBOOT,
    (
        Step("shutdown", shut_down, interruptible=True),
        Step("power-off", power_off, no_return="The guest is being powered off: the reboot starts it again."),
        Step("network", plug_network),
        Step("define", define_with_own_disks),
        Step("start", start),
    ),
    look=look.before_reboot,
    after_cancel="as before; a guest that has shut itself down already is started",
)
