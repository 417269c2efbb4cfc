# SPDX-License-Identifier: Apache-2.0
"""Image records: show, create, update, delete."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic_core import from_json

from kilonova.api.http.body import json_object
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.faults import HttpError
from kilonova.api.http.ids import is_uuid
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import EmptyList, Member, View
from kilonova.api.image.fields import SETTABLE, ImageFields, applied, current, refuse_read_only
from kilonova.api.image.upload_quota import within_quota
from kilonova.api.image.view import IMAGE
from kilonova.base.errors import Conflict, Forbidden, InvalidInput, NotFound
from kilonova.db.readers import images as read_images
from kilonova.objects.ids import ImageId
from kilonova.objects.image import Image, ImageStatus
from kilonova.rpcapi.api_to_conductor import CREATE_IMAGE, DELETE_IMAGE, UPDATE_IMAGE, DeleteImage, PutImage

MEMBER = DefaultPolicy.MEMBER

PATCH_TYPE = "application/openstack-images-v2.1-json-patch"
OLD_PATCH_TYPE = "application/openstack-images-v2.0-json-patch"
PATCH_TYPES = frozenset({PATCH_TYPE, OLD_PATCH_TYPE})
_OPERATIONS = ("add", "replace", "remove")
PATCH_SHAPE: Mapping[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"type": "string", "enum": list(_OPERATIONS)},
            "path": {"type": "string", "pattern": "^/[^/]*$", "description": "a slash and the name of a member"},
            "value": {"description": "the new value; not for remove"},
        },
    },
}


async def find(call: Call) -> Image:
    """The image of the path, if the caller may see it.  Raises NotFound, also for a name."""
    image_id = call.params["image_id"]
    if not is_uuid(image_id):
        raise NotFound(f"No image found with ID {image_id[:255]}")
    context = call.context
    return await call.db.read(read_images.get_image, ImageId(image_id), context.project_id, admin=context.is_admin)


async def find_own(call: Call) -> Image:
    """The image of the path, if the caller may change it.  Raises NotFound, Forbidden."""
    image = await find(call)
    if image.owner != call.context.project_id and not call.context.is_admin:
        raise Forbidden(f"You are not permitted to change the image {image.id}.")
    return image


async def show(call: Call) -> Reply:
    """Show an image."""
    return IMAGE.reply(await find(call), call)


async def create(call: Call, data: bytes) -> Reply:
    """Create an image record with status queued, without data."""
    members = json_object(data)
    image_id = members.pop("id", None)
    owner = members.pop("owner", None)
    if image_id is not None and not (isinstance(image_id, str) and is_uuid(image_id) and image_id == image_id.lower()):
        raise InvalidInput("Invalid input for field/attribute id. It is not a UUID.", path="id")
    if owner not in (None, call.context.project_id) and not (call.context.is_admin and isinstance(owner, str)):
        raise Forbidden("You are not permitted to create images owned by others.")
    for name in members:
        refuse_read_only(name)
    now = call.deps.clock.now()
    blank = Image(
        id=ImageId(image_id or call.deps.clock.new_id()),
        name=None,
        status=ImageStatus.QUEUED,
        owner=owner or call.context.project_id,
        visibility="shared",
        disk_format=None,
        container_format=None,
        created_at=now,
        updated_at=now,
    )
    image = replace(applied(blank, members, call), updated_at=now)
    async with within_quota():
        await call.deps.rpc.call(CREATE_IMAGE, PutImage(image))
    return IMAGE.reply(image, call, headers=(("Location", call.links.to(f"/images/{image.id}")),))


async def update(call: Call, data: bytes) -> Reply:
    """Update an image by a list of the operations add, replace and remove.

    409 if another request changed the image meanwhile.
    """
    media_type = _media_type(call)
    if media_type not in PATCH_TYPES:
        raise HttpError(415, f"Unsupported content type: use {' or '.join(sorted(PATCH_TYPES))}.")
    image = await find_own(call)
    refuse_while_saving(image)
    settable = current(image)
    if call.context.is_admin:
        settable["owner"] = image.owner
    members = _patched(settable, _operations(data, old=media_type == OLD_PATCH_TYPE))
    owner = _owner(members.pop("owner", image.owner))
    changed = replace(applied(image, members, call), owner=owner)
    if image.status is not ImageStatus.QUEUED and (changed.disk_format, changed.container_format) != (
        image.disk_format,
        image.container_format,
    ):
        raise Forbidden("Attributes disk_format and container_format cannot be changed once the image has data.")
    await call.deps.rpc.call(UPDATE_IMAGE, PutImage(changed, expected=image))
    return IMAGE.reply(changed, call)


def refuse_while_saving(image: Image) -> None:
    """Raises Conflict during an upload, whose end would undo the change."""
    if image.status is ImageStatus.SAVING:
        raise Conflict(f"Image {image.id} is being saved.")


def _media_type(call: Call) -> str:
    return call.headers.get("content-type", "").partition(";")[0].strip().lower()


def _owner(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 255:
        raise InvalidInput("The owner is a project's id, of 1 to 255 characters.", path="owner")
    return value


def _operations(data: bytes, *, old: bool) -> list[tuple[str, str, Any]]:
    """(op, member, value) of each operation.  With `old`, {"replace": "/name"} has op and path in one (v2.0).  Raises
    InvalidInput."""
    try:
        listed = from_json(data)
    except ValueError as exc:
        raise InvalidInput("Malformed request body: it is not JSON.") from exc
    if not isinstance(listed, list):
        raise InvalidInput("Malformed request body: it is not a JSON array of operation objects.")
    operations: list[tuple[str, str, Any]] = []
    for at, item in enumerate(listed):
        if not isinstance(item, dict):
            raise InvalidInput("Operations must be JSON objects.", path=str(at))
        op, path = _named(item) if old else (item.get("op"), item.get("path"))
        if op not in _OPERATIONS:
            raise InvalidInput("Operations must be one of add, replace and remove.", path=f"{at}.op")
        if not isinstance(path, str) or not path.startswith("/") or "/" in path[1:]:
            raise InvalidInput("A pointer must be a slash and the name of a member.", path=f"{at}.path")
        if op != "remove" and "value" not in item:
            raise InvalidInput("Operations add and replace need a value.", path=f"{at}.value")
        operations.append((op, path[1:].replace("~1", "/").replace("~0", "~"), item.get("value")))
    return operations


def _named(item: dict[str, Any]) -> tuple[str | None, Any]:
    named = [op for op in _OPERATIONS if op in item]
    return (named[0], item[named[0]]) if len(named) == 1 else (None, None)


def _patched(members: dict[str, Any], operations: list[tuple[str, str, Any]]) -> dict[str, Any]:
    for op, name, value in operations:
        if name not in members:
            refuse_read_only(name)
        if op == "remove":
            if name in SETTABLE or name == "owner":
                raise Forbidden(f"Property {name} may not be removed.")
            if name not in members:
                raise Conflict(f"Property {name} does not exist.")
            del members[name]
            continue
        if op == "replace" and name not in members:
            raise Conflict(f"Property {name} does not exist.")
        members[name] = value
    return members


async def delete(call: Call) -> Reply:
    """Delete an image.  Servers that were created from it have their own copy."""
    image = await find_own(call)
    if image.protected:
        raise Forbidden(f"Image {image.id} is protected and cannot be deleted.")
    await call.deps.rpc.call(DELETE_IMAGE, DeleteImage(image.id))
    await call.deps.images.delete(image.id)
    return Reply()


async def deactivate(call: Call) -> Reply:
    """Deactivate an image: it can be neither downloaded nor used for new servers."""
    return await _change_status(call, ImageStatus.DEACTIVATED, of=ImageStatus.ACTIVE)


async def reactivate(call: Call) -> Reply:
    """Reactivate an image."""
    return await _change_status(call, ImageStatus.ACTIVE, of=ImageStatus.DEACTIVATED)


async def _change_status(call: Call, status: ImageStatus, *, of: ImageStatus) -> Reply:
    """Set `status` on an image with status `of`.  A repeated request succeeds.  Raises Forbidden, as Glance does, for
    any other status."""
    image = await find_own(call)
    if image.status not in (of, status):
        raise Forbidden(f"Not allowed to change the image {image.id} from {image.status} to {status}.")
    if image.status is of:
        changed = replace(image, status=status, updated_at=call.deps.clock.now())
        await call.deps.rpc.call(UPDATE_IMAGE, PutImage(changed, expected=image))
    return Reply()


async def add_tag(call: Call) -> Reply:
    """Add a tag to an image."""
    image = await find_own(call)
    return await _tagged(call, image, {*image.tags, call.params["tag"]})


async def delete_tag(call: Call) -> Reply:
    """Remove a tag from an image."""
    image, tag = await find_own(call), call.params["tag"]
    if tag not in image.tags:
        raise NotFound(f"The image {image.id} has no tag {tag[:255]}.")
    return await _tagged(call, image, {*image.tags} - {tag})


async def _tagged(call: Call, image: Image, tags: set[str]) -> Reply:
    refuse_while_saving(image)
    changed = applied(image, {**current(image), "tags": list(tags)}, call)
    await call.deps.rpc.call(UPDATE_IMAGE, PutImage(changed, expected=image))
    return Reply()


async def list_tasks(call: Call) -> Reply:
    """List the tasks of an image: always empty."""
    await find(call)
    return _TASKS.reply([], call)


_TASKS = View[list[str], Call]("", Member("tasks", EmptyList, lambda tasks, _: tasks))
_ID = "/images/{image_id}"

ROUTES = (
    Route("GET", _ID, show, "get_image", DefaultPolicy.READER, reply=IMAGE),
    Route("POST", "/images", create, "add_image", MEMBER, 201, IMAGE, whole=True, shape=ImageFields,
        note="the header Location has the image's URL"),
    Route("PATCH", _ID, update, "modify_image", MEMBER, reply=IMAGE, whole=True, shape=PATCH_SHAPE, accepts=PATCH_TYPE),
    Route("DELETE", _ID, delete, "delete_image", MEMBER, 204),
    Route("PUT", _ID + "/tags/{tag}", add_tag, "modify_image", MEMBER, 204),
    Route("DELETE", _ID + "/tags/{tag}", delete_tag, "modify_image", MEMBER, 204),
    Route("POST", _ID + "/actions/deactivate", deactivate, "deactivate", MEMBER, 204),
    Route("POST", _ID + "/actions/reactivate", reactivate, "reactivate", MEMBER, 204),
    Route("GET", _ID + "/tasks", list_tasks, "get_image", DefaultPolicy.READER, reply=_TASKS),
)  # fmt: skip
