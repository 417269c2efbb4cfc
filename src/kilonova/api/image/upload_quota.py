# SPDX-License-Identifier: Apache-2.0
"""Room for an upload in its project's quota: taken before the bytes that need it, given back with what is not used."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.base.errors import OverQuota, TooLarge
from kilonova.db.readers import catalogue, quotas
from kilonova.objects.image import Image
from kilonova.rpcapi.api_to_conductor import UPDATE_IMAGE, PutImage

LIMITS = ("image_count_total", "image_size_total")
MIB = 1 << 20
FIRST_BYTES, STEP_BYTES = 64 * MIB, 1024 * MIB
"""What an upload of unknown length reserves, and what more at most at a time."""


async def show_usage(call: Call) -> Reply:
    """GET /info/usage: what the token's project may have and has; sizes in MiB, as Image v2 says them."""
    project_id = call.context.project_id
    limits = await call.db.read(quotas.limits, call.deps.quotas.defaults, project_id)
    used = await call.db.read(catalogue.images_use, project_id)
    amounts = (used.count, -(-used.size_bytes // MIB))
    shown = {name: {"limit": limits[name], "usage": amount} for name, amount in zip(LIMITS, amounts, strict=True)}
    return json_reply({"usage": shown})


@asynccontextmanager
async def within_quota() -> AsyncGenerator[None]:
    """Image v2 answers 413 where Compute answers 403."""
    try:
        yield
    except OverQuota as exc:
        raise TooLarge(exc.message, **exc.details) from exc


class Room:
    """`image` is the record as it is in the database now: `take` changes it."""

    def __init__(self, call: Call, image: Image) -> None:
        self._call, self.image = call, image

    async def take(self, image: Image) -> None:
        """Record `image`, which may reserve more.  Raises TooLarge (the quota), Conflict, NotFound."""
        async with within_quota():
            await self._call.deps.rpc.call(UPDATE_IMAGE, PutImage(image, expected=self.image))
        self.image = image

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body's, each once there is room for it.  Raises TooLarge."""
        total = 0
        async for chunk in self._call.chunks:
            total += len(chunk)
            if total > self.image.reserved:
                more = max(len(chunk), min(self.image.reserved, STEP_BYTES))
                await self.take(replace(self.image, reserved=self.image.reserved + more))
            yield chunk
