# SPDX-License-Identifier: Apache-2.0
"""Images are fetched ahead of time, one by one, whatever becomes of some of them."""

import asyncio
from dataclasses import replace
from pathlib import Path

from kilonova.base.clock import SystemClock
from kilonova.base.threads import InlineWorkers
from kilonova.compute import precache
from kilonova.compute.image_cache import ImageCache
from tests import make


def names(root: Path) -> list[str]:
    return [path.name for path in root.iterdir() if not path.name.startswith(".")]


def test_one_that_cannot_be_had_does_not_hold_up_the_next(tmp_path: Path) -> None:
    async def main() -> list[str]:
        source = make.OneImage()
        ahead = precache.Precache(ImageCache(tmp_path, source, InlineWorkers(), SystemClock()))
        good = make.image_ref()
        ahead.want([replace(good, sha512="0" * 128), good, good])
        async with asyncio.TaskGroup() as group:
            task = group.create_task(ahead.run())
            while True:
                if names(tmp_path):
                    break
                await asyncio.sleep(0)
            task.cancel()
        assert source.reads == 2
        return names(tmp_path)

    assert make.run(main()) == [f"{make.image_ref().sha512[:40]}.raw"]


def test_what_is_too_much_is_passed_over(tmp_path: Path) -> None:
    async def main() -> None:
        ahead = precache.Precache(ImageCache(tmp_path, make.OneImage(), InlineWorkers(), SystemClock()))
        ahead.want([make.image_ref()] * (precache.MOST_WAITING + 5))

    make.run(main())
