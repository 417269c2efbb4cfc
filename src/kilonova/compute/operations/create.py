# SPDX-License-Identifier: Apache-2.0
"""create: from an image to a running guest."""

from kilonova.base.errors import GuestNotRunning
from kilonova.compute import metadata
from kilonova.compute.operation import Job, Operation, Step
from kilonova.compute.seeds import seed_of
from kilonova.objects.states import PowerState, Verb


async def fetch_image(job: Job) -> None:
    await job.tools.images.ensure(job.instance.image)


async def make_disks(job: Job) -> None:
    base = await job.tools.images.ensure(job.instance.image)
    await remove_remains(job)
    await job.tools.driver.ensure_disks(job.instance, base)


async def remove_remains(job: Job) -> None:
    """An earlier attempt whose guest is off or not defined may have been undoing its work when its process ended: its
    undo is completed, and everything is made anew.  No guest is built on a disk that another guest has used."""
    if not job.action.leg.repeated:
        return
    state = await job.tools.driver.guest_state(job.instance.id)
    if state is None or job.was_undone(state):
        for remove in (undefine, unplug_network, remove_disks):
            await remove(job)


async def remove_disks(job: Job) -> None:
    await job.tools.driver.remove_disks(job.instance.id)


async def make_config_drive(job: Job) -> None:
    seed = seed_of(job.tools.seed_key, job.action.id)
    await job.tools.driver.ensure_config_drive(job.instance, metadata.config_drive_files(job.instance, seed))


async def plug_network(job: Job) -> None:
    await job.tools.driver.ensure_network(job.instance)


async def unplug_network(job: Job) -> None:
    await job.tools.driver.remove_network(job.instance)


async def define(job: Job) -> None:
    await job.tools.driver.define(job.instance)


async def undefine(job: Job) -> None:
    await job.tools.driver.undefine(job.instance.id)


_UNDER_WAY = (PowerState.NOSTATE, PowerState.PAUSED)
"""A guest that is starting is waited for; a paused guest, as each is before its first instruction, is unpaused."""


async def start(job: Job) -> None:
    """The guest runs, as the hypervisor reports.  A guest that this action started and that has already shut itself
    down counts as started: it is not started twice.  A guest that ended because the machine lost power is started
    again."""
    driver, instance_id = job.tools.driver, job.instance.id
    before = await driver.guest_state(instance_id)
    if before is not None and before.power not in _UNDER_WAY and job.has_started(before):
        return
    await driver.power_on(instance_id, job.start_token)
    after = await driver.guest_state(instance_id)
    if after is None or (after.power is not PowerState.RUNNING and not job.has_started(after)):
        raise GuestNotRunning(f"Guest {instance_id} was started but does not run.", instance_id=instance_id)


async def power_off(job: Job) -> None:
    await job.tools.driver.power_off(job.instance.id)


# The order of the absents matters too: a guest is off before it is undefined, and undefined before its disks are
# removed. The config drive is removed with the disks; the cached image is shared and stays.
CREATE = Operation(
    Verb.CREATE,
    (
        Step("image", fetch_image, interruptible=True),
        Step("disks", make_disks, remove_disks),
        Step("config-drive", make_config_drive),
        Step("network", plug_network, unplug_network),
        Step("define", define, undefine),
        Step("start", start, power_off),
    ),
    clean_up=True,
    heavy=True,
    after_cancel="ERROR, with the user who cancelled it in its fault. Nothing is on a host, and no address or claim is "
    "kept; the server counts in the quota until it is deleted",
)
