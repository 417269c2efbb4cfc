# SPDX-License-Identifier: Apache-2.0
"""Images that actions make of servers' disks: recorded with the action, completed by the host, deleted with the action.

Each function is one transaction, or part of one.  A record that is not ACTIVE ends with its action.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from kilonova.base.errors import Forbidden, NotFound, NotInThisVersion, StaleWrite
from kilonova.conductor import image_events, image_quota, image_stores
from kilonova.conductor.attempts import LegMessage, check_current
from kilonova.config.quota import QuotaSettings
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import images as read_images
from kilonova.db.readers import instances as read_instances
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import images as write_images
from kilonova.objects.action import Action
from kilonova.objects.action_params import BackupParams, image_made_with
from kilonova.objects.ids import ImageId
from kilonova.objects.image import Image, ImageRef, ImageStatus
from kilonova.objects.instance import Instance
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import DeleteImage, PutImage
from kilonova.rpcapi.host_to_conductor_images import BeginImage, CompleteImage, DropImages, Dropped, ImageBegun


def delete(tx: Transaction, request: DeleteImage, now: datetime) -> None:
    """Delete an image's record.  Raises Conflict for a protected one.  A missing image is not an error."""
    image = _find(tx, request.image_id)
    if image is not None:
        image_events.deleted(tx, image, now)
    write_images.delete_image(tx, request.image_id)


def forget_with(tx: Transaction, instance: Instance, superseded: Iterable[Action], now: datetime) -> list[ImageId]:
    """Delete the records of images that are not needed or not completed once the instance is deleted.  Returns those
    whose bytes the host must remove."""
    forgotten = _forget_shelved(tx, instance, now)
    for action in superseded:
        if isinstance(action.params, BackupParams):
            forgotten += action.params.dropped
        if (unfinished := forget_unfinished(tx, action, now)) is not None:
            forgotten.append(unfinished)
    return forgotten


def forget_unfinished(tx: Transaction, action: Action, now: datetime) -> ImageId | None:
    """The action makes no image: delete its record unless it is ACTIVE.  Returns the image's id if the record was
    deleted."""
    try:
        image = _made_by(tx, action)
    except NotFound:
        return None
    if image.status is ImageStatus.ACTIVE or not image.status.is_known:
        return None
    _forget(tx, image, now)
    return image.id


def update(tx: Transaction, request: PutImage, quotas: QuotaSettings | None) -> None:
    """Replace an image's record.  Raises NotFound, Conflict, OverQuota."""
    image_quota.update(tx, request.image, request.expected, quotas)
    image_stores.record_stores(tx, request.image.id, request.stores)


def begin(tx: Transaction, request: BeginImage, now: datetime) -> ImageBegun:
    """Record that the image is being saved.  Raises StaleWrite, NotFound (it was deleted)."""
    image = _made_by(tx, _of_report(tx, request))
    if image.status is ImageStatus.QUEUED:
        saving = replace(image, status=ImageStatus.SAVING, updated_at=now)
        write_images.update_image(tx, saving, None)
        image_events.changed(tx, image, saving)
    return ImageBegun(saved=image.status is ImageStatus.ACTIVE)


def complete(tx: Transaction, request: CompleteImage, now: datetime, quotas: QuotaSettings | None = None) -> None:
    """The image is ACTIVE, with the sizes and hashes of its bytes.  Raises StaleWrite, NotFound (it was deleted),
    OverQuota: the number of bytes is known only now, and Forbidden: a host of a fleet has no receipt of a store."""
    image = _made_by(tx, _of_report(tx, request))
    if image.status is ImageStatus.ACTIVE:
        return  # a repeated report
    if not image.status.is_known:
        raise NotInThisVersion(f"This conductor's version does not have the status {image.status} of image {image.id}.")
    image_stores.record_saved(tx, image.id, request)
    active = replace(
        image,
        status=ImageStatus.ACTIVE,
        size=request.size,
        virtual_size=request.virtual_size,
        checksum=request.md5,
        os_hash_value=request.sha512,
        updated_at=now,
    )
    image_quota.update(tx, active, None, quotas)


def drop(tx: Transaction, request: DropImages, now: datetime) -> Dropped:
    """Delete the records of images that the action makes unnecessary.  Protected images stay.  A repeat returns the
    same images.  Raises StaleWrite."""
    action = _of_report(tx, request)
    instance = read_instances.get(tx, action.instance_id)
    if action.verb is Verb.UNSHELVE:
        return Dropped(tuple(_forget_shelved(tx, instance, now)))
    if not isinstance(action.params, BackupParams):
        raise Forbidden(f"Action {action.id} makes no image unnecessary.", action_id=action.id)
    beyond = _beyond_rotation(tx, action, action.params)
    for image in beyond:
        _forget(tx, image, now)
    params = replace(action.params, dropped=(*action.params.dropped, *(image.id for image in beyond)))
    if beyond:
        write_actions.update(tx, action.id, now, params=params)
    return Dropped(params.dropped)


def reference(tx: Transaction, action: Action) -> ImageRef | None:
    """The data that a host needs to make a disk of the action's image; None when there is no image."""
    try:
        image = _made_by(tx, action)
    except NotFound:
        return None
    if image.status is not ImageStatus.ACTIVE or image.disk_format is None:
        return None
    assert image.size is not None
    assert image.virtual_size is not None
    assert image.os_hash_value is not None
    return ImageRef(image.id, image.disk_format, image.size, image.virtual_size, image.os_hash_value)


def is_there(tx: Transaction, image_id: ImageId) -> bool:
    """Whether an ACTIVE image has this id."""
    found = _find(tx, image_id)
    return found is not None and found.status is ImageStatus.ACTIVE


def saved_by(tx: Transaction, report: LegMessage) -> ImageId:
    """The image that the sender's open leg makes and that is not complete.  Raises StaleWrite, NotFound."""
    image = _made_by(tx, _of_report(tx, report))
    if image.status is ImageStatus.ACTIVE:
        raise StaleWrite(f"The image {image.id} is complete.", image_id=image.id)
    return image.id


def _of_report(tx: Transaction, report: LegMessage) -> Action:
    action = read_actions.get(tx, report.leg.action_id)
    check_current(action, report)
    if not read_actions.is_open(action):
        raise StaleWrite(f"Action {action.id} is not open any more.", action_id=action.id)
    return action


def _find(tx: Transaction, image_id: ImageId) -> Image | None:
    try:
        return read_images.get_image(tx, image_id, "", admin=True)
    except NotFound:
        return None


def _made_by(tx: Transaction, action: Action) -> Image:
    image_id = image_made_with(action.params)
    image = None if image_id is None else _find(tx, image_id)
    if image is None:
        raise NotFound(f"Image {image_id} was deleted while it was being made.", image_id=image_id)
    return image


def _forget(tx: Transaction, image: Image, now: datetime) -> None:
    image_events.deleted(tx, image, now)
    write_images.forget_image(tx, image.id)


def _forget_shelved(tx: Transaction, instance: Instance, now: datetime) -> list[ImageId]:
    """Idempotent: the result also has an image whose record is already deleted."""
    if instance.shelved_image is None:
        return []
    image = _find(tx, instance.shelved_image.id)
    if image is not None and image.protected:
        return []
    if image is not None:
        _forget(tx, image, now)
    return [instance.shelved_image.id]


def _beyond_rotation(tx: Transaction, action: Action, params: BackupParams) -> list[Image]:
    wanted = {
        "image_type": "backup",
        "backup_type": params.backup_type,
        "instance_uuid": action.instance_id,
    }
    backups = [
        image
        for image in read_images.list_images(tx, action.project_id)
        if image.owner == action.project_id
        and image.status is ImageStatus.ACTIVE
        and wanted.items() <= dict(image.properties).items()
    ]
    # The new image is the newest, also if the clock was set back since the others were made.
    backups.sort(key=lambda image: image.id != params.image_id)
    return [image for image in backups[params.rotation :] if not image.protected]
