# SPDX-License-Identifier: Apache-2.0
"""Cached images leave when nothing lies on them and nobody has wanted them for long."""

from pathlib import Path

from kilonova.compute.image_cache import ImageCache
from kilonova.objects.states import Verb
from tests.unit.compute.bench import Bench
from tests.unit.compute.test_operations import on

DAY = 86400.0


def cached(cache: ImageCache) -> set[str]:
    return {path.name for path in cache._root.iterdir()}  # pyright: ignore[reportPrivateUsage]


def test_only_what_is_unused_and_old_goes(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        cache = bench.tools.images
        assert (await bench.run(bench.job(Verb.CREATE))).succeeded
        used = await bench.driver.base_images.bases_in_use()
        (name,) = cached(cache)
        assert {path.rpartition("/")[2] for path in used} == {name}
        await bench.clock.sleep(2 * DAY)
        assert await cache.remove_unused(used, DAY) == []
        assert (await bench.run(bench.job(Verb.DELETE))).succeeded
        unused = await bench.driver.base_images.bases_in_use()
        assert unused == frozenset()
        await cache.ensure(bench.instance.image)  # wanted now
        assert await cache.remove_unused(unused, DAY) == []
        await bench.clock.sleep(DAY + 1)
        assert await cache.remove_unused(unused, DAY) == [name]
        assert cached(cache) == set()

    on(Bench(tmp_path), body)
