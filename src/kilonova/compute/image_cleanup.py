# SPDX-License-Identifier: Apache-2.0
"""Removal of cached images that no disk lies on."""

import structlog

from kilonova.base.tasks import Supervisor
from kilonova.compute.image_cache import ImageCache
from kilonova.compute.virtapi import ComputeVirtAPI
from kilonova.config.image_cache import ImageCacheSettings
from kilonova.virt.driver import ComputeDriver

log = structlog.get_logger(__name__)

LIMIT_S = 300.0
"""For one round."""


class ImageCleanup:
    """With a driver that cannot report what is in use, nothing is removed."""

    def __init__(self, driver: ComputeDriver, cache: ImageCache, settings: ImageCacheSettings) -> None:
        self._driver, self._cache, self._settings = driver, cache, settings

    def start(self, tasks: Supervisor, virtapi: ComputeVirtAPI) -> None:
        """Start, as configured."""
        if self._settings.remove_unused_base_images and self._driver.base_images is not None:
            work = virtapi.while_in_service(self.run)
            tasks.periodic("unused images", self._settings.manager_interval, work, limit_s=LIMIT_S)

    async def run(self) -> None:
        """One round.  The images in use are read first: the image of a disk that is made later was used later, too."""
        assert self._driver.base_images is not None
        in_use = await self._driver.base_images.bases_in_use()
        removed = await self._cache.remove_unused(in_use, self._settings.remove_unused_original_minimum_age_seconds)
        if removed:
            log.info("cached images without disks were removed", images=", ".join(removed))
