# SPDX-License-Identifier: Apache-2.0
"""rescue and unrescue: a restart from another disk, with the guest's own disk beside it, and back. The files exist
before the guest is changed, and the token of the new start shows a replay that the start has happened.
"""

from dataclasses import replace

from kilonova.compute.operation import Job, Operation, Step
from kilonova.compute.operations import create, look, reboot
from kilonova.objects.guest import GuestState
from kilonova.objects.states import PowerState, Verb
from kilonova.virt.capabilities import RESCUE_DISKS


async def make_rescue_disk(job: Job) -> None:
    if await reboot.restarted(job):
        return
    image = job.instance.rescue_image
    assert image is not None  # the conductor sets it when it accepts
    base = await job.tools.images.ensure(image)
    await RESCUE_DISKS.of(job.tools.driver).make_disk(job.instance, base)


async def remove_rescue_disk(job: Job) -> None:
    await RESCUE_DISKS.of(job.tools.driver).remove_disk(job.instance.id)


async def define_as_usual(job: Job) -> None:
    """Define the guest with its own disks only; a running guest keeps its present disks until its next start."""
    if await job.tools.driver.guest_state(job.instance.id) is not None:
        await job.tools.driver.define(replace(job.instance, rescue_image=None))


async def let_go(job: Job) -> None:
    """Power the guest off if this action started it: a guest that was not changed yet continues to run."""
    if job.has_started(await job.tools.driver.guest_state(job.instance.id), on_any_boot=True):
        await job.tools.driver.power_off(job.instance.id)


def runs_as_requested(job: Job, state: GuestState) -> bool:
    """Whether the guest runs since this action started it, so that it has the requested disks."""
    return state.power is PowerState.RUNNING and job.has_started(state)


RESCUE = Operation(
    Verb.RESCUE,
    (
        Step("rescue-disk", make_rescue_disk, remove_rescue_disk, interruptible=True),
        Step("shutdown", reboot.shut_down, interruptible=True),
        Step("power-off", reboot.power_off),
        Step("network", create.plug_network),
        Step("define", create.define, define_as_usual),
        Step("start", create.start, let_go),
    ),
    clean_up=True,
    needs=RESCUE_DISKS,
    look=look.before_rescue,
    is_done=runs_as_requested,
    after_cancel="as before; a guest that was powered off is started from its own disk",
)

# The rescue disk is removed when nothing needs it any more: until then a replay, or the next attempt, finds it. The
# guest of a rescue receives no shutdown request, as in Nova: the contents of its memory are not needed.
UNRESCUE = Operation(
    Verb.UNRESCUE,
    (
        Step(
            "power-off",
            reboot.power_off,
            no_return="The guest is being powered off: rescue the server again when the action has ended.",
        ),
        Step("network", create.plug_network),
        Step("define", define_as_usual),
        Step("start", create.start),
        Step("rescue-disk", remove_rescue_disk),
    ),
    needs=RESCUE_DISKS,
    look=look.at_disks,
    is_done=runs_as_requested,
)
