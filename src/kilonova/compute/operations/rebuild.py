# SPDX-License-Identifier: Apache-2.0
"""rebuild: another root disk for the same server, which keeps its id, its addresses and its flavor. Since the
acceptance the record describes the new server, so every step makes the new server.  A replay after the guest was
started finds the token of that start, and does not replace the disk again.
"""

from kilonova.compute.operation import Job, Operation, Step
from kilonova.compute.operations import create, reboot
from kilonova.objects.states import Verb, VmState
from kilonova.virt.capabilities import DISK_REPLACEMENT


async def replace_disk(job: Job) -> None:
    if await reboot.restarted(job):
        return
    base = await job.tools.images.ensure(job.instance.image)
    await DISK_REPLACEMENT.of(job.tools.driver).replace_root_disk(job.instance, base)


async def start(job: Job) -> None:
    """A stopped server stays stopped."""
    if job.instance.vm_state is not VmState.STOPPED:
        await create.start(job)


REBUILD = Operation(
    Verb.REBUILD,
    (
        Step("image", create.fetch_image, interruptible=True),
        Step("power-off", reboot.power_off),
        Step("disks", replace_disk, no_return="The root disk is being replaced: its former content is lost."),
        Step("config-drive", create.make_config_drive),
        Step("network", create.plug_network),
        Step("define", reboot.define_with_own_disks),
        Step("start", start),
    ),
    heavy=True,
    needs=DISK_REPLACEMENT,
    after_cancel="as before, with the former image, name and other fields; a guest that was powered off is started",
)
