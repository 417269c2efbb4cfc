# SPDX-License-Identifier: Apache-2.0
"""The notifications of images.  Each function is part of the transaction that records the event.

The names are those of Glance's notifications.  A notification has the projects that could see the image before the
event or can see it after the event: they are the ones whose lists change.
"""

import hashlib
from dataclasses import replace
from datetime import datetime

from kilonova.db.readers import images as read_images
from kilonova.db.transaction import Transaction
from kilonova.db.writers import notifications as write_notifications
from kilonova.objects.ids import HostName
from kilonova.objects.image import Image, ImageStatus
from kilonova.objects.notification import EVERY_PROJECT, INFO, Notification

_FOR_ALL = frozenset({"public", "community"})
_INCOMPLETE = frozenset({ImageStatus.QUEUED, ImageStatus.SAVING})


def created(tx: Transaction, image: Image) -> None:
    """An image was recorded."""
    _record(tx, "image.create", image, _viewers(tx, image), image.created_at)


def changed(tx: Transaction, before: Image, image: Image) -> None:
    """The record of an image was replaced.  What only the service sees of a record makes no notification."""
    hidden = replace(before, reserved=image.reserved, uploader=image.uploader, updated_at=image.updated_at)
    if hidden == image:
        return
    is_complete = before.status in _INCOMPLETE and image.status is ImageStatus.ACTIVE
    viewers = _viewers(tx, before) | _viewers(tx, image)
    _record(tx, "image.activate" if is_complete else "image.update", image, viewers, image.updated_at)


def deleted(tx: Transaction, image: Image, now: datetime) -> None:
    """The record of an image is about to be deleted."""
    _record(tx, "image.delete", image, _viewers(tx, image), now)


def member_changed(tx: Transaction, image: Image, project_id: str, now: datetime) -> None:
    """The image is shared with the project, or is not any more, or the project has replied."""
    _record(tx, "image.member.update", image, frozenset({image.owner, project_id}), now)


def _viewers(tx: Transaction, image: Image) -> frozenset[str]:
    """The projects that may see an image, whatever their lists show."""
    if image.visibility in _FOR_ALL:
        return frozenset({EVERY_PROJECT})
    members = read_images.image_members_of(tx, image.id) if image.visibility == "shared" else []
    return frozenset({image.owner, *(member.project_id for member in members)})


def _record(tx: Transaction, event_type: str, image: Image, viewers: frozenset[str], at: datetime) -> None:
    visible_to = " ".join(sorted(viewers))
    payload = {
        "id": image.id,
        "owner": image.owner,
        "status": image.status,
        "visibility": image.visibility,
        "visible_to": visible_to,
    }
    event = f"{event_type} {at.isoformat()} {image.status} {visible_to}"
    id = f"{image.id}.{hashlib.sha256(event.encode()).hexdigest()[:16]}"
    write_notifications.insert_once(tx, id, Notification(HostName(""), at, event_type, INFO, payload))
