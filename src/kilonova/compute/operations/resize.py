# SPDX-License-Identifier: Apache-2.0
"""resize, confirmResize, revertResize: another size on the same host, with a way back.

A copy of the root disk is kept from before the first change until the resize is confirmed.  A confirmation removes the
copy, in any state of the guest; a reversion puts it back.  The token of a start shows a replay that the start has
happened.
"""

from dataclasses import replace

from kilonova.compute.operation import Job, Operation, Step
from kilonova.compute.operations import create, look, reboot
from kilonova.objects.action_params import RevertResizeParams
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import ActionId
from kilonova.objects.states import PowerState, Verb, VmState
from kilonova.virt.capabilities import RESIZING, Resizing


def _disks(job: Job) -> Resizing:
    return RESIZING.of(job.tools.driver)


def _of_size(job: Job, flavor: Flavor | None) -> Job:
    assert flavor is not None, "the conductor records both flavors when it accepts a resize"
    return replace(job, instance=replace(job.instance, flavor=flavor))


def _undoing(job: Job) -> Job:
    """A start with this token does not belong to the action: a replay begins with the guest that was put back."""
    return replace(job, action=replace(job.action, id=ActionId(f"{job.action.id}-undone")))


async def _is_back(job: Job) -> bool:
    state = await job.tools.driver.guest_state(job.instance.id)
    on = state is not None and state.power is PowerState.RUNNING
    return on and _undoing(job).has_started(state, on_any_boot=True)


async def start_again(job: Job) -> None:
    """A guest that ran before runs again, with its former disk and size."""
    if job.instance.old_vm_state is VmState.ACTIVE and not await _is_back(job):
        await job.tools.driver.power_on(job.instance.id, _undoing(job).start_token)


async def keep_disk(job: Job) -> None:
    if (local := job.tools.driver.local_disks) is not None:
        await local.keep(job.instance.id, job.action.id)
    await _disks(job).keep_disk(job.instance.id, job.action.id)


async def put_back_disk(job: Job) -> None:
    await _put_back(job, job.action.id)


async def _put_back(job: Job, tag: str) -> None:
    await _disks(job).restore_disk(job.instance.id, tag)
    if (local := job.tools.driver.local_disks) is not None:
        await local.restore(_of_size(job, job.instance.old_flavor).instance, tag)


async def grow_disk(job: Job) -> None:
    sized = _of_size(job, job.instance.new_flavor).instance
    await _disks(job).grow_disk(sized.id, sized.flavor.disk_gib)
    if (local := job.tools.driver.local_disks) is not None:
        await local.fit(sized)


async def define_new(job: Job) -> None:
    await create.define(_of_size(job, job.instance.new_flavor))


async def define_old(job: Job) -> None:
    await create.define(_of_size(job, job.instance.old_flavor))


async def start_if_it_ran(job: Job) -> None:
    if job.instance.old_vm_state is VmState.ACTIVE:
        await create.start(job)


async def power_off(job: Job) -> None:
    if not await _is_back(job):
        await create.power_off(job)


RESIZE = Operation(
    Verb.RESIZE,
    (
        Step("shutdown", reboot.shut_down, interruptible=True),
        Step("power-off", reboot.power_off, start_again),
        # A copy gets its name only when it is complete; the copying may take longer than a delete may wait.
        Step("keep-disk", keep_disk, put_back_disk, interruptible=True),
        Step("grow-disk", grow_disk),
        Step("network", create.plug_network),
        Step("define", define_new, define_old),
        Step(
            "start",
            start_if_it_ran,
            power_off,
            no_return="The guest is being started on the new disk: revert the resize when it has ended.",
        ),
    ),
    clean_up=True,
    heavy=True,
    needs=RESIZING,
    look=look.before_resize,
    after_cancel="as before: the former disk, size and claim; a guest that was powered off is started",
)


async def drop_kept_disk(job: Job) -> None:
    await _disks(job).drop_kept_disk(job.instance.id)


CONFIRM_RESIZE = Operation(
    Verb.CONFIRM_RESIZE,
    (
        Step(
            "drop-old-disk",
            drop_kept_disk,
            no_return="The former disk is being removed: resize the server again when the action has ended.",
        ),
    ),
    needs=RESIZING,
)


async def restore_disk(job: Job) -> None:
    params = job.action.params
    assert isinstance(params, RevertResizeParams)
    await _put_back(job, params.kept_disk)


REVERT_RESIZE = Operation(
    Verb.REVERT_RESIZE,
    (
        Step(
            "power-off",
            reboot.power_off,
            no_return="The former disk is being put back: resize the server again when the action has ended.",
        ),
        Step("restore-disk", restore_disk),
        Step("network", create.plug_network),
        Step("define", define_old),
        Step("start", start_if_it_ran),
    ),
    needs=RESIZING,
    look=look.at_own_root,
)
