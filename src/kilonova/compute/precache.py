# SPDX-License-Identifier: Apache-2.0
"""Images that an operator wants on the host before anybody boots them."""

import asyncio
from collections.abc import Iterable

import structlog

from kilonova.compute.image_cache import ImageCache
from kilonova.objects.image import ImageRef

log = structlog.get_logger(__name__)

MOST_WAITING = 1000
"""Beyond it, what is asked for is passed over: it was a hint."""


class Precache:
    """Fetches one at a time, so that builds are not held up by what nobody waits for."""

    def __init__(self, cache: ImageCache) -> None:
        self._cache = cache
        self._wanted: asyncio.Queue[ImageRef] = asyncio.Queue(MOST_WAITING)

    def want(self, images: Iterable[ImageRef]) -> None:
        """They will be fetched, after those that were asked for before."""
        for image in images:
            if not self._wanted.full():
                self._wanted.put_nowait(image)

    async def run(self) -> None:
        """For ever.  One that cannot be had is said, and left to the first build that needs it."""
        while True:
            image = await self._wanted.get()
            try:
                await self._cache.ensure(image)
            except Exception as exc:  # whatever it is: it was a hint, and must not end the host's service
                log.warning("an image could not be fetched ahead of time", image_id=image.id, error=str(exc))
