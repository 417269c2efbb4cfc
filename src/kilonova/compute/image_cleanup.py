# SPDX-License-Identifier: Apache-2.0
"""Removal of cached images that no disk uses as its base."""

import structlog

from kilonova.base.tasks import Supervisor
from kilonova.compute.image_cache import ImageCache
from kilonova.compute.virtapi import ComputeVirtAPI
from kilonova.config.image_cache import ImageCacheSettings
from kilonova.virt.driver import ComputeDriver

log = structlog.get_logger(__name__)

LIMIT_S = 300.0
"""The time limit of one round."""


class ImageCleanup:
    """Removes nothing when the driver cannot report which images are in use."""

    def __init__(self, driver: ComputeDriver, cache: ImageCache, settings: ImageCacheSettings) -> None:
        self._driver, self._cache, self._settings = driver, cache, settings

    def start(self, tasks: Supervisor, virtapi: ComputeVirtAPI) -> None:
        """Start the periodic tasks that the configuration enables."""
        if self._settings.remove_unused_base_images and self._driver.base_images is not None:
            work = virtapi.while_in_service(self.run)
            tasks.periodic("unused images", self._settings.manager_interval, work, limit_s=LIMIT_S)

    async def run(self) -> None:
        """One round. Reads the images in use first: a disk that is made later also marks its image as used later."""
        assert self._driver.base_images is not None
        in_use = await self._driver.base_images.bases_in_use()
        removed = await self._cache.remove_unused(in_use, self._settings.remove_unused_original_minimum_age_seconds)
        if removed:
            log.info("cached images without disks were removed", images=", ".join(removed))
