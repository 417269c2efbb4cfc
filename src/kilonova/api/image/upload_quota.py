# SPDX-License-Identifier: Apache-2.0
"""Quota of uploads: bytes are reserved before they are stored; the end of the upload releases the unused bytes."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from typing_extensions import TypedDict

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import Member, View
from kilonova.base.errors import OverQuota, TooLarge
from kilonova.db.readers import images as read_images
from kilonova.db.readers import quotas
from kilonova.objects.image import Image
from kilonova.objects.quota import Limits
from kilonova.rpcapi.api_to_conductor import UPDATE_IMAGE, PutImage

MIB = 1 << 20
FIRST_BYTES, STEP_BYTES = 64 * MIB, 1024 * MIB
"""Bytes that an upload of unknown length reserves first, and at most at each extension."""


async def show_usage(call: Call) -> Reply:
    """Show limits and usage of the token's project: number of images, and their size in MiB."""
    project_id = call.context.project_id
    limits = await call.db.read(quotas.limits, call.deps.quotas.defaults, project_id)
    used = await call.db.read(read_images.images_use, project_id)
    return _USAGE.reply((limits, (used.count, -(-used.size_bytes // MIB))), call)


class ResourceUsage(TypedDict):
    """The limit and the usage of a resource; -1 means unlimited."""

    limit: int
    usage: int


class ImageUsage(TypedDict):
    """Number and size of a project's images; sizes in MiB."""

    image_count_total: ResourceUsage
    image_size_total: ResourceUsage


def _usage(limits: Limits, used: tuple[int, int]) -> ImageUsage:
    return {
        "image_count_total": {"limit": limits["image_count_total"], "usage": used[0]},
        "image_size_total": {"limit": limits["image_size_total"], "usage": used[1]},
    }


_USAGE = View[tuple[Limits, tuple[int, int]], Call]("", Member("usage", ImageUsage, lambda found, _: _usage(*found)))

ROUTES = (Route("GET", "/info/usage", show_usage, "get_images", DefaultPolicy.READER, reply=_USAGE),)


@asynccontextmanager
async def within_quota() -> AsyncGenerator[None]:
    """An exceeded quota is 413 in Image v2, and 403 in Compute."""
    try:
        yield
    except OverQuota as exc:
        raise TooLarge(exc.message, **exc.details) from exc


class QuotaReservation:
    """The bytes that an upload reserves.  `image` is the current record in the database."""

    def __init__(self, call: Call, image: Image) -> None:
        self._call, self.image = call, image

    async def record(self, image: Image, stores: tuple[str, ...] = ()) -> None:
        """Store `image`, which can reserve more bytes; `stores` have its bytes.  Raises TooLarge (the quota), Conflict,
        NotFound."""
        async with within_quota():
            await self._call.deps.rpc.call(UPDATE_IMAGE, PutImage(image, expected=self.image, stores=stores))
        self.image = image

    async def chunks(self) -> AsyncIterator[bytes]:
        """The chunks of the body, each after its bytes are reserved.  Raises TooLarge."""
        total = 0
        async for chunk in self._call.chunks:
            total += len(chunk)
            if total > self.image.reserved:
                more = max(len(chunk), min(self.image.reserved, STEP_BYTES))
                await self.record(replace(self.image, reserved=self.image.reserved + more))
            yield chunk
