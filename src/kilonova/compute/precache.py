# SPDX-License-Identifier: Apache-2.0
"""Images fetched before anybody builds from them, one after another, so that builds are not held up."""

import asyncio

import structlog

from kilonova.base.tasks import Supervisor
from kilonova.compute.image_cache import ImageCache
from kilonova.objects.image import ImageRef

log = structlog.get_logger(__name__)


class Precache:
    """A wish that fails, or is lost with its process, costs the first build the time that it would have saved."""

    def __init__(self, cache: ImageCache) -> None:
        self._cache = cache
        self._wanted: asyncio.Queue[ImageRef] = asyncio.Queue()

    def want(self, images: tuple[ImageRef, ...]) -> None:
        """Fetch these when it is their turn."""
        for image in images:
            self._wanted.put_nowait(image)

    def start(self, tasks: Supervisor) -> None:
        """Begin to fetch, under `tasks`."""
        tasks.spawn("precache", self._fetch_forever())

    async def _fetch_forever(self) -> None:
        while True:
            image = await self._wanted.get()
            try:
                await self._cache.ensure(image)
            except Exception as exc:
                log.warning("an image could not be fetched beforehand", image=image.id, error=str(exc))
