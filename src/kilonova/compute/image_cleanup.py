# SPDX-License-Identifier: Apache-2.0
"""Removal of cached images that no disk uses as its base: those that are old, and more when the disk becomes full."""

import structlog

from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.compute.image_cache import ImageCache, KeptFree
from kilonova.compute.virtapi import ComputeVirtAPI
from kilonova.config.image_cache import ImageCacheSettings
from kilonova.virt.driver import ComputeDriver

log = structlog.get_logger(__name__)

LIMIT_S = 300.0
"""The time limit of one round."""
LOOK_S = 30.0
"""Seconds between two looks at the free space."""


class ImageCleanup:
    """Removes nothing when the driver cannot report which images are in use.  `kept_free`: as of ImageCache."""

    def __init__(
        self,
        driver: ComputeDriver,
        cache: ImageCache,
        settings: ImageCacheSettings,
        metrics: Metrics,
        kept_free: KeptFree,
    ) -> None:
        self._driver, self._cache, self._settings = driver, cache, settings
        self._metrics, self._kept_free = metrics, kept_free
        self._size_bytes = 0
        metrics.gauge("kilonova_image_cache_bytes", "Size of the cached images.", lambda: self._size_bytes)

    def start(self, tasks: Supervisor, virtapi: ComputeVirtAPI) -> None:
        """Start the periodic tasks that the configuration enables."""
        if self._settings.remove_unused_base_images and self._driver.base_images is not None:
            work = virtapi.while_in_service(self.run)
            tasks.periodic("unused images", self._settings.manager_interval, work, limit_s=LIMIT_S)
            look = virtapi.while_in_service(self.make_room)
            tasks.periodic("room of cached images", LOOK_S, look, limit_s=LIMIT_S)

    async def run(self) -> None:
        """One round. Reads the images in use first: a disk that is made later also marks its image as used later."""
        assert self._driver.base_images is not None
        in_use = await self._driver.base_images.bases_in_use()
        age_s = self._settings.remove_unused_original_minimum_age_seconds
        self._note("age", await self._cache.remove_unused(in_use, age_s))

    async def make_room(self) -> None:
        """Remove unused images while the disk has too little space, those that were unused for longest first."""
        assert self._driver.base_images is not None
        usage = await self._cache.usage(self._kept_free)
        self._size_bytes = usage.size_bytes
        if usage.is_short and usage.images:
            in_use = await self._driver.base_images.bases_in_use()
            self._note("space", await self._cache.make_room(in_use, self._kept_free))

    def _note(self, reason: str, removed: list[str]) -> None:
        if removed:
            self._metrics.images_evicted(reason, len(removed))
            log.info("cached images without disks were removed", reason=reason, images=", ".join(removed))
