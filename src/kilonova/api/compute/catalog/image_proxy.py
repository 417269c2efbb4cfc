# SPDX-License-Identifier: Apache-2.0
"""The image proxy of Compute: images until 2.35 and their metadata until 2.38, from the records of Image v2.

Source: Compute API reference, "Images (DEPRECATED)".
"""

from collections.abc import Callable, Mapping
from typing import NotRequired

from typing_extensions import TypedDict

from kilonova.api.compute.fields import AllMetadata, OneMetadata
from kilonova.api.http.call import Call, Link, Page, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import seconds_z
from kilonova.api.http.views import OMIT, Member, View, one, paged
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


class ImageLink(TypedDict):
    """A link of an image; `type` is the media type of the alternate one."""

    rel: str
    type: NotRequired[str]
    href: str


class ImageServer(TypedDict):
    """The server from which an image was created."""

    id: str
    links: list[Link]


def _links(image: Image, call: Call) -> list[ImageLink]:
    path = f"/images/{image.id}"
    href = f"{call.links.base}/image/v2{path}"
    alternate: ImageLink = {"rel": "alternate", "type": "application/vnd.openstack.image", "href": href}
    return [*({"rel": link["rel"], "href": link["href"]} for link in call.links.pair(path)), alternate]


def _server(image: Image, call: Call) -> object:
    server_id = image.properties.get("instance_uuid")
    if server_id is None:
        return OMIT
    server: ImageServer = {"id": server_id, "links": call.links.pair(f"/servers/{server_id}")}
    return server


M = Member[Image, Call]
_SUMMARY = View(
    "ProxyImageSummary",
    M("id", str, lambda image, _: image.id),
    M("name", str | None, lambda image, _: image.name),
    M("links", list[ImageLink], _links),
)
_IMAGE = _SUMMARY.but(
    "ProxyImage",
    M("status", str, lambda image, _: _STATUS.get(image.status, "UNKNOWN")),
    M("progress", int, lambda image, _: _PROGRESS.get(image.status, 0)),
    M("created", str, lambda image, _: seconds_z(image.created_at)),
    M("updated", str, lambda image, _: seconds_z(image.updated_at)),
    M("minDisk", int, lambda image, _: image.min_disk),
    M("minRam", int, lambda image, _: image.min_ram),
    M("metadata", dict[str, str], lambda image, _: image.properties),
    M("OS-EXT-IMG-SIZE:size", int | None, lambda image, _: image.size),
    M("server", ImageServer, _server, optional=True),
)
_SUMMARIES, _IMAGES, _ONE = paged("images", _SUMMARY), paged("images", _IMAGE), one("image", _IMAGE)
_METADATA = View[Mapping[str, str], Call]("", Member("metadata", dict[str, str], lambda metadata, _: metadata))
_META = View[Mapping[str, str], Call]("", Member("meta", dict[str, str], lambda meta, _: meta))


async def list_brief(call: Call) -> Reply:
    """List images, with names only (until 2.35)."""
    return await _list(call, _SUMMARIES)


async def list_detail(call: Call) -> Reply:
    """List images with their details (until 2.35)."""
    return await _list(call, _IMAGES)


async def _list(call: Call, reply: View[Page[Image], Call]) -> Reply:
    window, tests, context = call.query.page(call.deps.settings.max_limit), _tests(call), call.context
    every = await call.db.read(read_images.list_images, context.project_id, admin=context.is_admin)
    found = [image for image in every if not image.os_hidden and all(test(image) for test in tests)]
    rest = window.behind(found, lambda image: image.id)
    page = rest[: window.limit]
    more = bool(page) and len(rest) > len(page)
    return reply.reply(Page(page, call.links_after(page[-1].id) if more else None), call)


def _tests(call: Call) -> list[_Test]:
    """Unknown arguments are ignored, as in Nova."""
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
    """Show an image (until 2.35)."""
    return _ONE.reply(await find(call), call)


async def list_metadata(call: Call) -> Reply:
    """List the metadata of an image (until 2.38)."""
    return _METADATA.reply((await find(call)).properties, call)


async def show_metadata(call: Call) -> Reply:
    """Show a metadata item of an image (until 2.38)."""
    properties, key = (await find(call)).properties, call.params["key"]
    if key not in properties:
        raise _missing()
    return _META.reply({key: properties[key]}, call)


async def merge_metadata(call: Call, body: AllMetadata) -> Reply:
    """Add metadata to an image, or replace values (until 2.38)."""
    image = await find_own(call)
    return await _stored(call, image, {**image.properties, **body.metadata})


async def replace_metadata(call: Call, body: AllMetadata) -> Reply:
    """Replace the metadata of an image (until 2.38)."""
    return await _stored(call, await find_own(call), body.metadata)


async def set_metadata(call: Call, body: OneMetadata) -> Reply:
    """Set a metadata item of an image (until 2.38)."""
    image = await find_own(call)
    if list(body.meta) != [call.params["key"]]:
        raise InvalidInput("Request body and URI mismatch", path="meta")
    await _stored(call, image, {**image.properties, **body.meta})
    return _META.reply(body.meta, call)


async def delete_metadata(call: Call) -> Reply:
    """Delete a metadata item of an image (until 2.38)."""
    image, key = await find_own(call), call.params["key"]
    if key not in image.properties:
        raise _missing()
    await _stored(call, image, {name: text for name, text in image.properties.items() if name != key})
    return Reply()


async def _stored(call: Call, image: Image, properties: Mapping[str, str]) -> Reply:
    refuse_while_saving(image)
    for name in properties:
        if name in FIELDS:
            raise InvalidInput(f"'{name}' is a field of images and cannot be metadata.", path="metadata")
    fields = {name: value for name, value in current(image).items() if name not in image.properties}
    changed = applied(image, {**fields, **properties}, call)
    await call.deps.rpc.call(UPDATE_IMAGE, PutImage(changed, expected=image))
    return _METADATA.reply(changed.properties, call)


def _missing() -> NotFound:
    return NotFound("Metadata item was not found")


ROUTES = (
    Route("DELETE", "/images/{image_id}", images.delete, "os_compute_api:images:delete", DefaultPolicy.MEMBER, 204,
        max=v2(35)),
    Route("GET", "/images", list_brief, "os_compute_api:images:index", DefaultPolicy.READER,
        reply=_SUMMARIES, max=v2(35)),
    Route("GET", "/images/detail", list_detail, "os_compute_api:images:detail", DefaultPolicy.READER,
        reply=_IMAGES, max=v2(35)),
    Route("GET", "/images/{image_id}", show, "os_compute_api:images:show", DefaultPolicy.READER, reply=_ONE,
        max=v2(35)),
    Route("GET", "/images/{image_id}/metadata", list_metadata, "os_compute_api:image-metadata:index",
        DefaultPolicy.READER, reply=_METADATA, max=v2(38)),
    Route("POST", "/images/{image_id}/metadata", merge_metadata, "os_compute_api:image-metadata:create",
        DefaultPolicy.MEMBER, reply=_METADATA, body=AllMetadata, max=v2(38)),
    Route("PUT", "/images/{image_id}/metadata", replace_metadata, "os_compute_api:image-metadata:update_all",
        DefaultPolicy.MEMBER, reply=_METADATA, body=AllMetadata, max=v2(38)),
    Route("GET", "/images/{image_id}/metadata/{key}", show_metadata, "os_compute_api:image-metadata:show",
        DefaultPolicy.READER, reply=_META, max=v2(38)),
    Route("PUT", "/images/{image_id}/metadata/{key}", set_metadata, "os_compute_api:image-metadata:update",
        DefaultPolicy.MEMBER, reply=_META, body=OneMetadata, max=v2(38)),
    Route("DELETE", "/images/{image_id}/metadata/{key}", delete_metadata, "os_compute_api:image-metadata:delete",
        DefaultPolicy.MEMBER, 204, max=v2(38)),
)  # fmt: skip
