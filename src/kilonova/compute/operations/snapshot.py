# SPDX-License-Identifier: Apache-2.0
"""createImage and createBackup: the root disk as it is at one moment becomes an image.

The copy is kept beside the guest until it is in the image store: a replay finds it complete, or makes it again.
"""

from kilonova.compute.image_uploads import image_of
from kilonova.compute.operation import Job, Operation, Step
from kilonova.objects.states import IMAGE_DEADLINE_S, Verb
from kilonova.virt.capabilities import SNAPSHOTS, DiskSnapshots


def _snapshots(job: Job) -> DiskSnapshots:
    return SNAPSHOTS.of(job.tools.driver)


async def begin(job: Job) -> None:
    await job.tools.uploads.begin(job.action)


async def discard(job: Job) -> None:
    await job.tools.uploads.discard(job.action)


async def copy(job: Job) -> None:
    if await job.tools.uploads.begin(job.action):
        await _snapshots(job).take(job.instance.id, image_of(job.action), IMAGE_DEADLINE_S)


async def remove_copy(job: Job) -> None:
    await _snapshots(job).remove(job.instance.id, image_of(job.action))


async def upload(job: Job) -> None:
    if await job.tools.uploads.begin(job.action):
        snapshots, image_id = _snapshots(job), image_of(job.action)
        await job.tools.uploads.save(job.action, lambda: snapshots.read(job.instance.id, image_id), "qcow2")


async def rotate(job: Job) -> None:
    await job.tools.uploads.drop(job.action)


MAKE_IMAGE = (
    Step("image", begin, discard),
    Step("copy", copy, remove_copy, interruptible=True),
    Step("upload", upload, interruptible=True),
    Step("remove-copy", remove_copy, no_return="The image is complete."),
)

CREATE_IMAGE = Operation(
    Verb.CREATE_IMAGE,
    MAKE_IMAGE,
    clean_up=True,
    copies=True,
    needs=SNAPSHOTS,
    after_cancel="as before, without the image",
)
CREATE_BACKUP = Operation(
    Verb.CREATE_BACKUP,
    (*MAKE_IMAGE, Step("rotate", rotate)),
    clean_up=True,
    copies=True,
    needs=SNAPSHOTS,
    after_cancel="as before, without the image; older backups stay",
)
