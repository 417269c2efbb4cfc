# SPDX-License-Identifier: Apache-2.0
"""delete: whatever a create may have made is absent, however far it came, and images that nobody completes."""

from kilonova.compute.operation import Job, Operation, Step, removal
from kilonova.compute.operations.create import CREATE
from kilonova.objects.action import FORGOTTEN_IMAGES
from kilonova.objects.ids import ImageId
from kilonova.objects.states import Verb


async def remove_images(job: Job) -> None:
    """The bytes of images whose records the delete has removed: an unfinished image, the image of a shelved server."""
    named = job.action.params.get(FORGOTTEN_IMAGES, "").split(",")
    await job.tools.uploads.forget(ImageId(image_id) for image_id in named if image_id)


DELETE = Operation(Verb.DELETE, (*removal(CREATE, Verb.DELETE).steps, Step("remove-images", remove_images)))
