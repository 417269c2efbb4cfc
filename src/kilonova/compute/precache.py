# SPDX-License-Identifier: Apache-2.0
"""Images that an operator requests on the host before their first boot."""

import asyncio
from collections.abc import Iterable, Mapping

import structlog

from kilonova.compute.image_cache import ImageCache
from kilonova.objects.ids import ImageId
from kilonova.objects.image import ImageRef

log = structlog.get_logger(__name__)

MOST_WAITING = 1000
"""Further requests are ignored: a request is a hint."""


_NO_GRANTS: Mapping[ImageId, str] = {}


class Precache:
    """Fetches one image at a time, so that prefetched images do not delay builds."""

    def __init__(self, cache: ImageCache) -> None:
        self._cache = cache
        self._wanted: asyncio.Queue[tuple[ImageRef, str]] = asyncio.Queue(MOST_WAITING)

    def want(self, images: Iterable[ImageRef], grants: Mapping[ImageId, str] = _NO_GRANTS) -> None:
        """Fetch these images, after those of earlier requests, with the permissions of `grants`."""
        for image in images:
            if not self._wanted.full():
                self._wanted.put_nowait((image, grants.get(image.id, "")))

    async def run(self) -> None:
        """Runs without end. An image that cannot be fetched is logged, and left to the first build that needs it."""
        while True:
            image, grant = await self._wanted.get()
            try:
                await self._cache.ensure(image, grant)
            except Exception as exc:  # any error: the request was a hint, and must not end the host's service
                log.warning("an image could not be fetched ahead of time", image_id=image.id, error=str(exc))
