# SPDX-License-Identifier: Apache-2.0
"""delete: everything that a create may have made is made absent, at whatever step the create stopped, and so are images
that will not be completed."""

from kilonova.compute.operation import Job, Operation, Step, removal
from kilonova.compute.operations.create import CREATE
from kilonova.objects.action_params import DeleteParams
from kilonova.objects.states import Verb


async def remove_images(job: Job) -> None:
    """Remove the bytes of images whose records the delete has removed: an unfinished image, the image of a shelved
    server."""
    params = job.action.params
    assert isinstance(params, DeleteParams)
    await job.tools.uploads.forget(params.forgotten_images)


DELETE = Operation(Verb.DELETE, (*removal(CREATE, Verb.DELETE).steps, Step("remove-images", remove_images)))
