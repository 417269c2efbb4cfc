# SPDX-License-Identifier: Apache-2.0
"""Cached images leave when nothing lies on them and nobody has wanted them for long."""

import os
from pathlib import Path

from kilonova.base.metrics import Metrics
from kilonova.compute.image_cache import ImageCache
from kilonova.compute.image_cleanup import ImageCleanup
from kilonova.config.load import load
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


def test_a_full_disk_takes_the_longest_unused_and_nothing_in_use(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        cache, short = bench.tools.images, [True]
        kept_free = lambda total: 2 * total if short[0] else 0  # noqa: E731
        metrics, settings = Metrics(), load().image_cache
        cleanup = ImageCleanup(bench.driver, cache, settings, metrics, kept_free)
        assert (await bench.run(bench.job(Verb.CREATE))).succeeded
        (used,) = cached(cache)
        old, newer, fresh = (f"{letter * 40}.raw" for letter in "abc")
        root = cache._root  # pyright: ignore[reportPrivateUsage]
        for name, age_s in ((old, 5000), (newer, 4000), (fresh, 1)):
            (root / name).write_bytes(b"x" * 1000)
            at = bench.clock.now().timestamp() + 2 * DAY - age_s
            os.utime(root / name, (at, at))
        await bench.clock.sleep(2 * DAY)
        short[0] = False
        await cleanup.make_room()
        assert cached(cache) == {used, old, newer, fresh}
        assert metrics.value("kilonova_image_cache_bytes") > 3000
        short[0] = True
        await cleanup.make_room()
        assert cached(cache) == {used, fresh}
        assert metrics.value("kilonova_evicted_images_total", reason="space") == 2

    on(Bench(tmp_path), body)


def test_eviction_stops_when_there_is_room(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        cache, looks = bench.tools.images, iter((True, False))
        assert (await bench.run(bench.job(Verb.CREATE))).succeeded
        root = cache._root  # pyright: ignore[reportPrivateUsage]
        for letter, age_s in (("a", 5000), ("b", 4000)):
            path = root / f"{letter * 40}.raw"
            path.touch()
            at = bench.clock.now().timestamp() - age_s
            os.utime(path, (at, at))
        removed = await cache.make_room((), lambda total: 2 * total if next(looks) else 0)
        assert removed == [f"{'a' * 40}.raw"]

    on(Bench(tmp_path), body)
