# SPDX-License-Identifier: Apache-2.0
"""Params of actions, with what a test does not name filled in."""

from typing import Any

from kilonova.objects.action import Action
from kilonova.objects.action_params import RECORDED, REQUESTED, NoParams, UnshelveSource
from kilonova.objects.ids import ActionId, ImageId, InstanceId
from kilonova.objects.image import Image, ImageStatus
from kilonova.objects.leg import one_leg
from kilonova.objects.states import Verb
from tests import make

_NEEDED: dict[Verb, dict[str, Any]] = {
    Verb.REBOOT: {"type": "SOFT"},
    Verb.RESET_STATE: {"state": "active"},
    Verb.REVERT_RESIZE: {"kept_disk": "resize-1"},
    Verb.RESIZE: {"flavor_id": "2"},
    Verb.UNSHELVE: {"source": UnshelveSource.DISK},
    Verb.CREATE_IMAGE: {"image_id": "image-2"},
    Verb.SHELVE: {"image_id": "image-2"},
    Verb.CREATE_BACKUP: {"image_id": "image-2", "backup_type": "daily", "rotation": 1},
    Verb.RESCUE: {"image": make.image_ref()},
    Verb.REBUILD: {"image": make.image_ref()},
}


def requested(verb: Verb, **fields: Any) -> Any:
    """As the API sends them."""
    kind = REQUESTED.get(verb, NoParams)
    needed = {name: value for name, value in _NEEDED.get(verb, {}).items() if name in kind.__dataclass_fields__}
    if "image" in kind.__dataclass_fields__ and "image" not in needed and "image" not in fields:
        fields["image"] = image(f"image-of-{verb}")
    return kind(**{**needed, **fields})


def recorded(verb: Verb, **fields: Any) -> Any:
    """As an action keeps them."""
    kind = RECORDED.get(verb, NoParams)
    needed = {name: value for name, value in _NEEDED.get(verb, {}).items() if name in kind.__dataclass_fields__}
    return kind(**{**needed, **fields})


def of_verb(verb: Verb, **fields: Any) -> dict[str, Any]:
    """The fields that the recorded params of a verb have."""
    kind = RECORDED.get(verb, NoParams)
    return {name: value for name, value in fields.items() if name in kind.__dataclass_fields__}


def image(image_id: str, **changes: Any) -> Image:
    """The record of an image that is still to be made."""
    values: dict[str, Any] = {
        "id": ImageId(image_id),
        "name": "i",
        "status": ImageStatus.QUEUED,
        "owner": "p1",
        "visibility": "private",
        "disk_format": "qcow2",
        "container_format": "bare",
        "created_at": make.NOW,
        "updated_at": make.NOW,
    }
    return Image(**{**values, **changes})


def action(verb: Verb, **changes: Any) -> Action:
    """An open action that its host works on."""
    values: dict[str, Any] = {
        "id": ActionId(f"action-{verb}"),
        "instance_id": InstanceId("one"),
        "verb": verb,
        "request_id": "req-1",
        "user_id": "u1",
        "project_id": "p1",
        "started_at": make.NOW,
        "updated_at": make.NOW,
        "deadline": make.NOW,
        "legs": one_leg(make.HOST, verb),
        "params": recorded(verb),
    }
    return Action(**{**values, **changes})
