# SPDX-License-Identifier: Apache-2.0
"""The signed URLs of this process's image store: hosts and other API processes read and write images there.

The signature in the query is the permission; no token is needed.
"""

from collections.abc import Mapping

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.faults import HttpError
from kilonova.api.http.ids import is_uuid
from kilonova.api.http.route import DefaultPolicy, Route, Service
from kilonova.api.http.views import Member, View
from kilonova.api.image import ranges
from kilonova.base.errors import NotFound, StorageFull
from kilonova.images.signing import PATH
from kilonova.objects.ids import ImageId
from kilonova.objects.image import SavedImage

OCTETS = "application/octet-stream"
QUERY = frozenset({"peer", "until", "key", "attempt", "sha512", "signature"})
_SAVED = View[SavedImage, Call](
    "SavedImage",
    Member("size", int, lambda saved, _: saved.size),
    Member("virtual_size", int, lambda saved, _: saved.virtual_size),
    Member("md5", str, lambda saved, _: saved.md5),
    Member("sha512", str, lambda saved, _: saved.sha512),
    Member("stores", list[str], lambda saved, _: list(saved.stores)),
    Member("receipt", str, lambda saved, _: saved.receipt),
)


async def read(call: Call) -> Reply:
    """Read the bytes of an image from this store: all, or those of the Range header."""
    image_id, images = _image_of(call), call.deps.images
    size = await images.offer(image_id, _query_of(call))
    part = ranges.requested(call.headers, size)
    if part is None:
        return Reply(
            headers=(("Content-Length", str(size)),), content_type=OCTETS, stream=images.read_own(image_id, 0, size)
        )
    headers = (("Content-Length", str(part.length)), ("Content-Range", part.content_range))
    stream = images.read_own(image_id, part.start, part.length)
    return Reply(status=206, headers=headers, content_type=OCTETS, stream=stream)


async def write(call: Call) -> Reply:
    """Write the bytes of an image that is being saved: 200 with sizes, hashes and the store's receipt.  507 when the
    store has no room."""
    try:
        saved = await call.deps.images.receive(_image_of(call), _query_of(call), call.chunks)
    except StorageFull as exc:
        raise HttpError(507, exc.message) from exc
    return _SAVED.reply(saved, call)


def _image_of(call: Call) -> ImageId:
    image_id = call.params["image_id"]
    if not is_uuid(image_id):
        raise NotFound("The image store has no such image.")
    return ImageId(image_id)


def _query_of(call: Call) -> Mapping[str, str]:
    return dict(call.query.pairs)


SERVICE = Service(
    PATH.rpartition("/")[0],
    (
        Route("GET", "/images/{image_id}", read, "read_image_store", DefaultPolicy.ANYBODY, also=(206,), gives=OCTETS,
            query=QUERY, note="for hosts and other API processes, by a signed URL"),
        Route("PUT", "/images/{image_id}", write, "write_image_store", DefaultPolicy.ANYBODY, accepts=OCTETS,
            reply=_SAVED, query=QUERY, note="for hosts and other API processes, by a signed URL"),
    ),
    open=True,
)  # fmt: skip
