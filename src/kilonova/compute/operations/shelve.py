# SPDX-License-Identifier: Apache-2.0
"""shelve, shelveOffload and unshelve: a guest becomes an image, leaves its host, and is started again on any host."""

import structlog

from kilonova.base.errors import KilonovaError
from kilonova.compute.operation import Job, Operation, Step, Work, removal
from kilonova.compute.operations import create, look, stop
from kilonova.compute.operations.create import CREATE
from kilonova.compute.operations.snapshot import MAKE_IMAGE
from kilonova.objects.action_params import UnshelveParams, UnshelveSource
from kilonova.objects.image import ImageRef
from kilonova.objects.states import PowerState, Verb
from kilonova.virt.capabilities import SNAPSHOTS

log = structlog.get_logger(__name__)


async def shut_down(job: Job) -> None:
    """A paused guest cannot receive the request."""
    state = await job.tools.driver.guest_state(job.instance.id)
    if state is not None and state.power is PowerState.RUNNING:
        await stop.shut_down(job)


SHELVE = Operation(
    Verb.SHELVE,
    (Step("shutdown", shut_down, interruptible=True), Step("power-off", stop.power_off), *MAKE_IMAGE),
    clean_up=True,
    copies=True,
    needs=SNAPSHOTS,
    look=look.at_disks,
    after_cancel="as before, without the image; a guest that was powered off is started",
)

SHELVE_OFFLOAD = removal(
    CREATE, Verb.SHELVE_OFFLOAD, "The disks are being removed: unshelve the server when the action has ended."
)


def _source(job: Job) -> UnshelveSource:
    params = job.action.params
    assert isinstance(params, UnshelveParams)
    return params.source


def _image(job: Job) -> ImageRef | None:
    """The image from which the guest's disk is made; None where the disk still exists."""
    return None if _source(job) is UnshelveSource.DISK else job.instance.shelved_image


async def fetch_image(job: Job) -> None:
    if (image := _image(job)) is not None:
        await job.tools.images.ensure(image)


async def make_disks(job: Job) -> None:
    """An existing disk is kept."""
    if (image := _image(job)) is not None:
        base = await job.tools.images.ensure(image)
        await _of_its_own(create.remove_remains)(job)
        await job.tools.driver.ensure_disks(job.instance, base)


def _of_its_own(absent: Work) -> Work:
    """A failed unshelve removes only what it has made: the guest of a server that did not leave its host stays."""

    async def guarded(job: Job) -> None:
        if _source(job) is UnshelveSource.OFFLOADED:
            await absent(job)

    return guarded


async def drop_image(job: Job) -> None:
    """The guest runs, and nothing may undo that any more: an image that cannot be removed now only uses space."""
    try:
        await job.tools.uploads.drop(job.action)
    except (KilonovaError, OSError) as exc:
        log.warning("the image of a server that was shelved stays", instance=job.instance.id, error=str(exc))


UNSHELVE = Operation(
    Verb.UNSHELVE,
    (
        Step("image", fetch_image, interruptible=True),
        Step("disks", make_disks, _of_its_own(create.remove_disks)),
        Step("config-drive", create.make_config_drive),
        Step("network", create.plug_network, _of_its_own(create.unplug_network)),
        Step("define", create.define, _of_its_own(create.undefine)),
        Step(
            "start",
            create.start,
            _of_its_own(create.power_off),
            no_return="The guest is being started: shelve the server again when the action has ended.",
        ),
        Step("drop-image", drop_image),
    ),
    clean_up=True,
    heavy=True,
)
