# SPDX-License-Identifier: Apache-2.0
"""Image data: upload and download.

queued -> saving -> active.  An upload that fails for any reason sets the image back to queued and keeps no bytes.
"""

import asyncio
import base64
from dataclasses import replace

import structlog

from kilonova.api.http.body import check_declared_length, declared_length
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.deps import ApiDeps
from kilonova.api.http.faults import HttpError
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.image import ranges
from kilonova.api.image.images import find, find_own
from kilonova.api.image.upload_quota import FIRST_BYTES, QuotaReservation
from kilonova.base.errors import Conflict, Forbidden, InvalidInput, KilonovaError, NotFound, TooLarge
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import images as read_images
from kilonova.images.own_store import Upload
from kilonova.images.store import ImageStore, Stored
from kilonova.objects.image import WITH_BYTES, Image, ImageStatus
from kilonova.rpcapi.api_to_conductor import UPDATE_IMAGE, PutImage

log = structlog.get_logger(__name__)

OCTETS = "application/octet-stream"
RELEASE_LIMIT_S = 10.0
"""Seconds for setting a failed upload's image back to queued, also while the service stops."""


async def upload(call: Call) -> Reply:
    """Upload image data: 204 after bytes and record are on disk.

    Raises Conflict unless the image is queued, ImageUnacceptable if the bytes do not have the declared format,
    TooLarge, StorageFull.
    """
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != OCTETS:
        raise HttpError(415, f"Unsupported content type: use {OCTETS}.")
    image = await find_own(call)
    if image.disk_format is None or image.container_format is None:
        raise InvalidInput("Properties disk_format and container_format must be set prior to saving data.")
    if image.id in await call.db.read(read_actions.images_in_the_making):
        raise Conflict(f"Image {image.id} is being created from a server.")
    if image.status is not ImageStatus.QUEUED:
        raise Conflict(f"Image status transition from {image.status} to saving is not allowed")
    check_declared_length(call.headers, call.deps.settings.max_image_bytes)
    declared = declared_length(call.headers)
    await call.deps.images.check_room(declared or 0)
    reservation, now = QuotaReservation(call, image), call.deps.clock.now()
    reserved = FIRST_BYTES if declared is None else declared
    uploader = call.deps.images.uploader
    saving = replace(image, status=ImageStatus.SAVING, reserved=reserved, uploader=uploader, updated_at=now)
    await reservation.record(saving)
    try:
        await _save(call, reservation, declared)
    except BaseException:
        await _requeue(call.deps, reservation.image)
        raise
    return Reply()


async def _save(call: Call, reservation: QuotaReservation, declared: int | None) -> None:
    images, image_id = call.deps.images, reservation.image.id

    async def confirm(stored: Stored) -> None:
        _check_md5(call, stored.md5)

    most = call.deps.settings.max_image_bytes
    saved = await images.save(Upload(reservation.image, reservation.chunks(), most, declared, confirm))
    active = replace(
        reservation.image,
        status=ImageStatus.ACTIVE,
        reserved=0,
        uploader="",
        size=saved.size,
        virtual_size=saved.virtual_size,
        checksum=saved.md5,
        os_hash_value=saved.sha512,
        updated_at=call.deps.clock.now(),
    )
    try:
        await reservation.record(active, saved.stores)
    except (NotFound, TooLarge, Conflict):  # meanwhile deleted, the quota reduced, or given up as lost
        await images.delete(image_id)
        raise
    # After any other failure the record may be active, so the bytes remain; unused ones are removed later.


def _check_md5(call: Call, found: str) -> None:
    """Raises InvalidInput if the bytes do not match Content-MD5: base64 (RFC 1864), or hex as a download sends it."""
    declared = call.headers.get("content-md5", "").strip()
    if declared and declared.lower() != found and declared != base64.b64encode(bytes.fromhex(found)).decode():
        raise InvalidInput(f"The image data does not match Content-MD5: its MD5 is {found}.")


async def _requeue(deps: ApiDeps, image: Image) -> None:
    """Set the image back to queued.  If that fails, the next start does it (see `recover`)."""
    queued = replace(image, status=ImageStatus.QUEUED, reserved=0, uploader="", updated_at=deps.clock.now())
    try:
        async with asyncio.timeout(RELEASE_LIMIT_S):
            await deps.rpc.call(UPDATE_IMAGE, PutImage(queued, expected=image))
    except NotFound:
        pass  # deleted meanwhile
    except (KilonovaError, TimeoutError) as exc:
        log.warning("image remains in saving until the next start", image_id=image.id, error=str(exc))


async def recover(deps: ApiDeps, store: ImageStore) -> None:
    """Called before the first request of the one box, whose API process is the only one of its store.  It sets images
    back to queued whose upload ended with an earlier process, and removes files without an image."""
    images: list[Image] = await deps.db.read(read_images.list_images, "", admin=True, community=True)
    in_the_making = await deps.db.read(read_actions.images_in_the_making)
    for image in images:
        if image.status is ImageStatus.SAVING and image.id not in in_the_making:
            await _requeue(deps, image)
    await store.sweep([image.id for image in images if image.status in WITH_BYTES])


async def download(call: Call) -> Reply:
    """Download image data: 200 with all bytes, 206 with those of the Range header, or 204 while there are none.

    Raises Forbidden for a deactivated image, HttpError 416 for a range beyond the end.
    """
    image = await find(call)
    if image.status is ImageStatus.DEACTIVATED and not call.context.is_admin:
        raise Forbidden(f"The image {image.id} is deactivated: its owner must reactivate it first.")
    if image.status not in WITH_BYTES or image.size is None:
        return Reply(status=204)
    part = ranges.requested(call.headers, image.size)
    if part is not None:
        headers = (("Content-Length", str(part.length)), ("Content-Range", part.content_range))
        stream = await call.deps.images.open(image, part.start, part.length)
        return Reply(status=206, headers=headers, content_type=OCTETS, stream=stream)
    whole = [("Content-Length", str(image.size)), ("Accept-Ranges", "bytes")]
    if image.checksum is not None:
        whole.append(("Content-MD5", image.checksum))
    return Reply(headers=tuple(whole), content_type=OCTETS, stream=await call.deps.images.open(image))


_PATH = "/images/{image_id}/file"

ROUTES = (
    Route("PUT", _PATH, upload, "upload_image", DefaultPolicy.MEMBER, 204, accepts=OCTETS),
    Route("GET", _PATH, download, "download_image", DefaultPolicy.READER, also=(204, 206), gives=OCTETS,
        note="206: the bytes of the header Range; 204: the image has no data"),
)  # fmt: skip
