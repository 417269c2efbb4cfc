# SPDX-License-Identifier: Apache-2.0
"""The checksums of the host's cached images: compared on request, and renewed on request, in the background.

Reading all cached images lasts as long as the disk needs; no request waits for it.
"""

import asyncio
from collections.abc import Iterable, Mapping

import structlog

from kilonova.base.errors import KilonovaError
from kilonova.compute.image_cache import ImageCache
from kilonova.objects.ids import ImageId
from kilonova.objects.image import ImageRef
from kilonova.rpcapi.to_host_verify import BasesChecked

log = structlog.get_logger(__name__)


class CachedBases:
    """One round of checks at a time, and one image at a time."""

    def __init__(self, cache: ImageCache) -> None:
        self._cache = cache
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._to_check = self._checking = False
        self._to_renew: dict[str, tuple[ImageRef, str]] = {}
        self._damaged: set[str] = set()

    def check(self) -> None:
        """Begin a round, unless one is in progress."""
        if not self._checking:
            self._to_check = True
            self._begin()

    def renew(self, images: Iterable[ImageRef], grants: Mapping[ImageId, str]) -> None:
        """Fetch these images again, each once."""
        for image in images:
            self._to_renew[image.cache_name] = (image, grants.get(image.id, ""))
            self._begin()

    async def result(self, wait_s: float) -> BasesChecked:
        """What is known after the work in progress, or after `wait_s` seconds."""
        try:
            async with asyncio.timeout(wait_s):
                await self._idle.wait()
        except TimeoutError:
            return BasesChecked(running=True, damaged=tuple(sorted(self._damaged)))
        return BasesChecked(running=False, damaged=tuple(sorted(self._damaged)))

    def _begin(self) -> None:
        self._idle.clear()
        self._work.set()

    async def run(self) -> None:
        """Runs without end.  An image that cannot be read or fetched is logged; the others are done."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._to_renew:
                await self._renew(*self._to_renew.pop(next(iter(self._to_renew))))
            if self._to_check:
                self._to_check, self._checking = False, True
                await self._check()
                self._checking = False
            if not self._work.is_set():
                self._idle.set()

    async def _check(self) -> None:
        try:
            self._damaged = {name async for name in self._cache.damaged()}
        except OSError as exc:
            log.error("cached images cannot be read", why=str(exc))
        if self._damaged:
            log.error("cached images do not have their checksums", images=", ".join(sorted(self._damaged)))

    async def _renew(self, image: ImageRef, grant: str) -> None:
        try:
            await self._cache.renew(image, grant)
        except (KilonovaError, OSError) as exc:
            log.warning("an image could not be fetched again", image_id=image.id, error=str(exc))
            return
        self._damaged.discard(image.cache_name)
        log.info("an image was fetched again", image_id=image.id)
