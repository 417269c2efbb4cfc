# SPDX-License-Identifier: Apache-2.0
"""Images as Compute showed them until 2.35, and their metadata until 2.38: the records of Image v2.

Source: Compute API reference, "Images (DEPRECATED)".
"""

from collections.abc import Callable, Mapping
from typing import Any

from kilonova.api.compute.fields import AllMetadata, OneMetadata
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import seconds_z
from kilonova.api.image import images
from kilonova.api.image.fields import applied, current
from kilonova.api.image.images import find, find_own, refuse_while_saving
from kilonova.api.image.view import FIELDS
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.readers import images as read_images
from kilonova.objects.image import Image, ImageStatus
from kilonova.rpcapi.api_to_conductor import UPDATE_IMAGE, PutImage

_PROPERTY = "property-"

_STATUS = {ImageStatus.ACTIVE: "ACTIVE", ImageStatus.QUEUED: "SAVING", ImageStatus.SAVING: "SAVING"}
_PROGRESS = {ImageStatus.ACTIVE: 100, ImageStatus.QUEUED: 25, ImageStatus.SAVING: 50}

_Test = Callable[[Image], bool]


def _brief(image: Image, call: Call) -> dict[str, Any]:
    path = f"/images/{image.id}"
    href = f"{call.links.base}/image/v2{path}"
    elsewhere = {"rel": "alternate", "type": "application/vnd.openstack.image", "href": href}
    return {"id": image.id, "name": image.name, "links": [*call.links.pair(path), elsewhere]}


def _view(image: Image, call: Call) -> dict[str, Any]:
    shown: dict[str, Any] = {
        **_brief(image, call),
        "status": _STATUS.get(image.status, "UNKNOWN"),
        "progress": _PROGRESS.get(image.status, 0),
        "created": seconds_z(image.created_at),
        "updated": seconds_z(image.updated_at),
        "minDisk": image.min_disk,
        "minRam": image.min_ram,
        "metadata": image.properties,
        "OS-EXT-IMG-SIZE:size": image.size,
    }
    server = image.properties.get("instance_uuid")
    if server is not None:
        shown["server"] = {"id": server, "links": call.links.pair(f"/servers/{server}")}
    return shown


async def list_brief(call: Call) -> Reply:
    """GET /images, below 2.36."""
    return await _list(call, _brief)


async def list_detail(call: Call) -> Reply:
    """GET /images/detail, below 2.36."""
    return await _list(call, _view)


async def _list(call: Call, view: Callable[[Image, Call], dict[str, Any]]) -> Reply:
    window, tests, context = call.query.page(call.deps.settings.max_limit), _tests(call), call.context
    every = await call.db.read(read_images.list_images, context.project_id, admin=context.is_admin)
    found = [image for image in every if not image.os_hidden and all(test(image) for test in tests)]
    rest = window.behind(found, lambda image: image.id)
    page = rest[: window.limit]
    answer: dict[str, Any] = {"images": [view(image, call) for image in page]}
    if page and len(rest) > len(page):
        answer.update(call.next_page("images_links", page[-1].id))
    return json_reply(answer)


def _tests(call: Call) -> list[_Test]:
    """What is not known is passed over, as it always was."""
    query = call.query
    tests: list[_Test] = []
    wanted = {name.removeprefix(_PROPERTY): text for name, text in query.pairs if name.startswith(_PROPERTY)}
    if (kind := query.text("type")) is not None:
        wanted["image_type"] = kind
    if (server := query.text("server")) is not None:  # an id, or the server's href
        wanted["instance_uuid"] = server.rstrip("/").rpartition("/")[2]
    tests += [_has(name, text) for name, text in wanted.items()]
    if (named := query.text("name")) is not None:
        tests.append(lambda image: image.name == named)
    if (status := query.text("status")) is not None:
        tests.append(lambda image: _STATUS.get(image.status, "UNKNOWN") == status.upper())
    if (since := query.time("changes-since")) is not None:
        tests.append(lambda image: image.updated_at >= since)
    least_disk, least_ram = query.integer("minDisk") or 0, query.integer("minRam") or 0
    tests.append(lambda image: image.min_disk >= least_disk and image.min_ram >= least_ram)
    return tests


def _has(name: str, text: str) -> _Test:
    return lambda image: image.properties.get(name) == text


async def show(call: Call) -> Reply:
    """GET /images/{id}, below 2.36."""
    return json_reply({"image": _view(await find(call), call)})


async def list_metadata(call: Call) -> Reply:
    """GET /images/{id}/metadata, below 2.39."""
    return json_reply({"metadata": (await find(call)).properties})


async def show_metadata(call: Call) -> Reply:
    """GET /images/{id}/metadata/{key}, below 2.39."""
    properties, key = (await find(call)).properties, call.params["key"]
    if key not in properties:
        raise _missing()
    return json_reply({"meta": {key: properties[key]}})


async def merge_metadata(call: Call, body: AllMetadata) -> Reply:
    """POST /images/{id}/metadata, below 2.39."""
    image = await find_own(call)
    return await _stored(call, image, {**image.properties, **body.metadata})


async def replace_metadata(call: Call, body: AllMetadata) -> Reply:
    """PUT /images/{id}/metadata, below 2.39."""
    return await _stored(call, await find_own(call), body.metadata)


async def set_metadata(call: Call, body: OneMetadata) -> Reply:
    """PUT /images/{id}/metadata/{key}, below 2.39."""
    image = await find_own(call)
    if list(body.meta) != [call.params["key"]]:
        raise InvalidInput("Request body and URI mismatch", path="meta")
    await _stored(call, image, {**image.properties, **body.meta})
    return json_reply({"meta": body.meta})


async def delete_metadata(call: Call) -> Reply:
    """DELETE /images/{id}/metadata/{key}, below 2.39."""
    image, key = await find_own(call), call.params["key"]
    if key not in image.properties:
        raise _missing()
    await _stored(call, image, {name: text for name, text in image.properties.items() if name != key})
    return Reply()


async def _stored(call: Call, image: Image, properties: Mapping[str, str]) -> Reply:
    refuse_while_saving(image)
    for name in properties:
        if name in FIELDS:
            raise InvalidInput(f"'{name}' is a field of images, and can be no metadata.", path="metadata")
    fields = {name: value for name, value in current(image).items() if name not in image.properties}
    changed = applied(image, {**fields, **properties}, call)
    await call.deps.rpc.call(UPDATE_IMAGE, PutImage(changed, expected=image))
    return json_reply({"metadata": changed.properties})


def _missing() -> NotFound:
    return NotFound("Metadata item was not found")


ROUTES = (
    Route("DELETE", "/images/{image_id}", images.delete, "os_compute_api:images:delete", DefaultPolicy.MEMBER, 204,
        max=v2(35)),
    Route("GET", "/images", list_brief, "os_compute_api:images:index", DefaultPolicy.READER,
        note="{images: [{id, name, links}]}", max=v2(35)),
    Route("GET", "/images/detail", list_detail, "os_compute_api:images:detail", DefaultPolicy.READER,
        note="{images: [...]}", max=v2(35)),
    Route("GET", "/images/{image_id}", show, "os_compute_api:images:show", DefaultPolicy.READER, note="{image}",
        max=v2(35)),
    Route("GET", "/images/{image_id}/metadata", list_metadata, "os_compute_api:image-metadata:index",
        DefaultPolicy.READER, note="{metadata}", max=v2(38)),
    Route("POST", "/images/{image_id}/metadata", merge_metadata, "os_compute_api:image-metadata:create",
        DefaultPolicy.MEMBER, note="{metadata}", body=AllMetadata, max=v2(38)),
    Route("PUT", "/images/{image_id}/metadata", replace_metadata, "os_compute_api:image-metadata:update_all",
        DefaultPolicy.MEMBER, note="{metadata}", body=AllMetadata, max=v2(38)),
    Route("GET", "/images/{image_id}/metadata/{key}", show_metadata, "os_compute_api:image-metadata:show",
        DefaultPolicy.READER, note="{meta}", max=v2(38)),
    Route("PUT", "/images/{image_id}/metadata/{key}", set_metadata, "os_compute_api:image-metadata:update",
        DefaultPolicy.MEMBER, note="{meta}", body=OneMetadata, max=v2(38)),
    Route("DELETE", "/images/{image_id}/metadata/{key}", delete_metadata, "os_compute_api:image-metadata:delete",
        DefaultPolicy.MEMBER, 204, max=v2(38)),
)  # fmt: skip
