# SPDX-License-Identifier: Apache-2.0
"""The cache holds whole, checked images and nothing else."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from kilonova.base.clock import SystemClock
from kilonova.base.errors import ImageUnacceptable
from kilonova.base.threads import DaemonWorkers
from kilonova.compute.image_cache import ImageCache
from tests import make

T = TypeVar("T")


def cache(root: Path, source: make.OneImage) -> ImageCache:
    return ImageCache(root / "_base", source, DaemonWorkers("files", 2), SystemClock())


def test_many_builds_fetch_an_image_once(tmp_path: Path) -> None:
    source = make.OneImage()

    async def body() -> None:
        images = cache(tmp_path, source)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(images.ensure(make.image_ref())) for _ in range(10)]
        paths = {task.result().path for task in tasks}
        assert [path.read_bytes() for path in paths] == [make.IMAGE_BYTES]
        assert [path.stat().st_mode & 0o777 for path in paths] == [0o644]

    make.run(body())
    assert source.reads == 1


def test_a_later_process_takes_what_is_there(tmp_path: Path) -> None:
    source = make.OneImage()
    for _ in range(2):
        make.run(cache(tmp_path, source).ensure(make.image_ref()))
    assert source.reads == 1


def test_one_that_somebody_has_removed_is_fetched_again(tmp_path: Path) -> None:
    """An operator, whose disk was full."""
    source = make.OneImage()

    async def body() -> None:
        images = cache(tmp_path, source)
        (await images.ensure(make.image_ref())).path.unlink()
        assert (await images.ensure(make.image_ref())).path.read_bytes() == make.IMAGE_BYTES

    make.run(body())
    assert source.reads == 2


def test_wrong_bytes_are_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ImageUnacceptable, match="checksum"):
        make.run(cache(tmp_path, make.OneImage(b"x" * 1024)).ensure(make.image_ref()))
    assert list((tmp_path / "_base").iterdir()) == []


def test_an_image_that_is_not_of_its_format_is_refused_whatever_its_record_says(tmp_path: Path) -> None:
    with pytest.raises(ImageUnacceptable):
        make.run(cache(tmp_path, make.OneImage()).ensure(replace(make.image_ref(), disk_format="qcow2")))
    assert list((tmp_path / "_base").iterdir()) == []


def test_what_a_dead_process_left_half_done_is_removed(tmp_path: Path) -> None:
    source = make.OneImage()
    path = make.run(cache(tmp_path, source).ensure(make.image_ref())).path
    path.unlink()
    half = path.with_name(f".{path.name}.dead")
    half.write_bytes(b"half")
    make.run(cache(tmp_path, source).ensure(make.image_ref()))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


class Late:
    """Workers that are busy: they start `function` only when the test allows it."""

    def __init__(self, function: str) -> None:
        self._workers, self._function = DaemonWorkers("files", 2), function
        self.arrived, self.allowed = threading.Event(), threading.Event()

    async def run(self, fn: Callable[..., T], *args: Any) -> T:
        if getattr(fn, "__name__", "") == self._function:
            return await self._workers.run(self._late, fn, *args)
        return await self._workers.run(fn, *args)

    def _late(self, fn: Callable[..., T], *args: Any) -> T:
        self.arrived.set()
        assert self.allowed.wait(20)
        return fn(*args)

    def close(self) -> None:
        self._workers.close()

    async def drain(self) -> None:
        await self._workers.drain()


def test_a_fetch_that_is_cancelled_while_its_file_is_opened_leaves_nothing(tmp_path: Path) -> None:
    async def body() -> None:
        workers = Late("open")
        images = ImageCache(tmp_path / "_base", make.OneImage(), workers, SystemClock())
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            fetch = group.create_task(images.ensure(make.image_ref()))
            await asyncio.to_thread(workers.arrived.wait, 20)
            fetch.cancel()
            await asyncio.wait({fetch})
            workers.allowed.set()
            await workers.drain()

    make.run(body())
    assert list(tmp_path.rglob("*.*")) == []
