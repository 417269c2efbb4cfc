# SPDX-License-Identifier: Apache-2.0
"""The cache holds whole, checked images and nothing else."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.base.clock import SystemClock
from kilonova.base.errors import ImageUnacceptable
from kilonova.base.threads import DaemonWorkers
from kilonova.compute.image_cache import ImageCache
from tests import make


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
