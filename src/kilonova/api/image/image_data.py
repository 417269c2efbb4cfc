# SPDX-License-Identifier: Apache-2.0
"""Images' bytes: PUT and GET /images/{id}/file.

queued -> saving -> active; an upload that fails for whatever reason puts the image back to queued, with nothing kept.
"""

import asyncio
import base64
import errno
from dataclasses import replace

import structlog

from kilonova.api.http.body import check_declared_length, declared_length
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.deps import ApiDeps
from kilonova.api.http.faults import HttpError
from kilonova.api.image import ranges
from kilonova.api.image.images import find, find_own
from kilonova.api.image.upload_quota import FIRST_BYTES, Room
from kilonova.base.errors import Conflict, Forbidden, InvalidInput, KilonovaError, NotFound, StorageFull, TooLarge
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import catalogue
from kilonova.objects.image import WITH_BYTES, Image, ImageStatus
from kilonova.rpcapi.api_to_conductor import UPDATE_IMAGE, PutImage

log = structlog.get_logger(__name__)

OCTETS = "application/octet-stream"
_FULL = (errno.ENOSPC, errno.EDQUOT)

RELEASE_LIMIT_S = 10.0
"""Seconds that putting a failed upload's image back may take, also while the service stops."""


async def upload(call: Call) -> Reply:
    """204 once bytes and record are on disk.  Raises Conflict unless the image is queued, ImageUnacceptable when the
    bytes are not what was declared, TooLarge, StorageFull."""
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != OCTETS:
        raise HttpError(415, f"Unsupported content type: use {OCTETS}.")
    image = await find_own(call)
    if image.disk_format is None or image.container_format is None:
        raise InvalidInput("Properties disk_format and container_format must be set prior to saving data.")
    if image.id in await call.db.read(read_actions.images_in_the_making):
        raise Conflict(f"Image {image.id} is being made of a server.")
    if image.status is not ImageStatus.QUEUED:
        raise Conflict(f"Image status transition from {image.status} to saving is not allowed")
    check_declared_length(call.headers, call.deps.settings.max_image_bytes)
    declared = declared_length(call.headers)
    await call.deps.images.check_room(declared or 0)
    room, now = Room(call, image), call.deps.clock.now()
    reserved = FIRST_BYTES if declared is None else declared
    await room.take(replace(image, status=ImageStatus.SAVING, reserved=reserved, updated_at=now))
    try:
        await _save(call, room, image.disk_format)
    except BaseException:
        await _release(call.deps, room.image)
        raise
    return Reply()


async def _save(call: Call, room: Room, disk_format: str) -> None:
    store, image_id = call.deps.images, room.image.id
    try:
        stored = await store.write(image_id, room.chunks(), call.deps.settings.max_image_bytes)
    except OSError as exc:
        if exc.errno not in _FULL:
            raise
        raise StorageFull(f"The image's bytes cannot be stored now: {exc.strerror}. Try again later.") from exc
    try:
        _check_md5(call, stored.md5)
        empty = stored.size == 0 and disk_format == "raw"  # (an image all the same; no server boots from it)
        virtual_size = 0 if empty else await store.inspect(image_id, disk_format)
    except BaseException:
        await store.delete(image_id)
        raise
    active = replace(
        room.image,
        status=ImageStatus.ACTIVE,
        reserved=0,
        size=stored.size,
        virtual_size=virtual_size,
        checksum=stored.md5,
        os_hash_value=stored.sha512,
        updated_at=call.deps.clock.now(),
    )
    try:
        await room.take(active)
    except (NotFound, TooLarge):  # deleted meanwhile; the quota is smaller than it was
        await store.delete(image_id)
        raise
    # After any other failure the record may be active nonetheless, so the bytes stay; the next start sweeps.


def _check_md5(call: Call, found: str) -> None:
    """What a client says of its bytes (RFC 1864; also in hex, as a download says it) must be so."""
    declared = call.headers.get("content-md5", "").strip()
    if declared and declared.lower() != found and declared != base64.b64encode(bytes.fromhex(found)).decode():
        raise InvalidInput(f"The bytes that came are not those that Content-MD5 declares: their MD5 is {found}.")


async def _release(deps: ApiDeps, image: Image) -> None:
    """Back to queued; when even that fails, the next start does it (see `recover`)."""
    queued = replace(image, status=ImageStatus.QUEUED, reserved=0, updated_at=deps.clock.now())
    try:
        async with asyncio.timeout(RELEASE_LIMIT_S):
            await deps.rpc.call(UPDATE_IMAGE, PutImage(queued, expected=image))
    except NotFound:
        pass  # deleted meanwhile
    except (KilonovaError, TimeoutError) as exc:
        log.warning("image stays in saving until the next start", image_id=image.id, error=str(exc))


async def recover(deps: ApiDeps) -> None:
    """Before the first request of the only API process: images whose upload died with an earlier process are queued
    again, and files that belong to no image are removed."""
    images: list[Image] = await deps.db.read(catalogue.list_images, "", admin=True, community=True)
    in_the_making = await deps.db.read(read_actions.images_in_the_making)
    for image in images:
        if image.status is ImageStatus.SAVING and image.id not in in_the_making:
            await _release(deps, image)
    await deps.images.sweep([image.id for image in images if image.status in WITH_BYTES])


async def download(call: Call) -> Reply:
    """200 with the bytes, 206 with those that Range asks for, or 204 while there are none.  Raises Forbidden for one
    that is deactivated, HttpError 416."""
    image = await find(call)
    if image.status is ImageStatus.DEACTIVATED and not call.context.is_admin:
        raise Forbidden(f"The image {image.id} is deactivated: whoever owns it has to say that it may be used.")
    if image.status not in WITH_BYTES or image.size is None:
        return Reply(status=204)
    part = ranges.asked(call.headers, image.size)
    if part is not None:
        headers = (("Content-Length", str(part.length)), ("Content-Range", part.content_range))
        stream = call.deps.images.read(image.id, part.start, part.length)
        return Reply(status=206, headers=headers, content_type=OCTETS, stream=stream)
    whole = [("Content-Length", str(image.size)), ("Accept-Ranges", "bytes")]
    if image.checksum is not None:
        whole.append(("Content-MD5", image.checksum))
    return Reply(headers=tuple(whole), content_type=OCTETS, stream=call.deps.images.read(image.id))
