# SPDX-License-Identifier: Apache-2.0
"""What has a name in the store is whole; what was cut off leaves nothing."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kilonova.base.errors import NotFound, StorageFull, TooLarge
from kilonova.base.threads import DaemonWorkers
from kilonova.images.store import CHUNK_BYTES, ImageStore
from kilonova.objects.ids import ImageId
from tests.make import run

IMAGE = ImageId("0a9cb4c4-5a0c-4f2f-9f0e-0f5a3c1b2d3e")


def store_in(directory: Path) -> ImageStore:
    return ImageStore(directory / "images", DaemonWorkers("files", 2))


async def pieces(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def names(directory: Path) -> list[str]:
    images = directory / "images"
    return sorted(path.name for path in images.iterdir()) if images.exists() else []


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    data = bytes(range(256)) * (3 * CHUNK_BYTES // 256) + b"tail"

    async def main() -> None:
        store = store_in(tmp_path)
        stored = await store.write(IMAGE, pieces(data), len(data))
        assert stored.size == len(data)
        assert stored.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()
        assert stored.sha512 == hashlib.sha512(data).hexdigest()
        assert b"".join([piece async for piece in store.read(IMAGE)]) == data
        for start, length in ((0, 1), (7, len(data)), (len(data) - 3, 3), (CHUNK_BYTES - 1, CHUNK_BYTES + 2), (5, 0)):
            assert b"".join([piece async for piece in store.read(IMAGE, start, length)]) == data[start:][:length]
        assert names(tmp_path) == [IMAGE]

    run(main())


def test_nobody_but_the_service_can_read_it(tmp_path: Path) -> None:
    async def main() -> None:
        store = store_in(tmp_path)
        await store.write(IMAGE, pieces(b"secret"), 10)
        assert store.path(IMAGE).stat().st_mode & 0o777 == 0o600
        assert store.path(IMAGE).parent.stat().st_mode & 0o777 == 0o700
        store.path(IMAGE).parent.chmod(0o755)  # as an earlier version made it
        await store.sweep([IMAGE])
        assert store.path(IMAGE).parent.stat().st_mode & 0o777 == 0o700

    run(main())


def test_room_that_is_kept_is_looked_at_before_and_while_bytes_come(tmp_path: Path) -> None:
    async def main() -> None:
        asked: list[int] = []
        kept = [0, 1 << 62]

        def keep(total: int) -> int:
            asked.append(total)
            return kept.pop(0) if kept else 0

        store = ImageStore(tmp_path / "images", DaemonWorkers("files", 2), keep)
        with pytest.raises(StorageFull, match="no room"):
            await store.write(IMAGE, pieces(bytes(2 * CHUNK_BYTES)), 10 * CHUNK_BYTES)
        assert (names(tmp_path), len(asked)) == ([], 2)
        assert asked[0] == os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
        free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
        kept.append(1)
        with pytest.raises(StorageFull):
            await store.check_room(2 * free)
        await store.check_room(2 * free)  # nothing is to be kept: the disk itself will say so

    run(main())


def test_nothing_is_an_image_too(tmp_path: Path) -> None:
    async def main() -> None:
        store = store_in(tmp_path)
        stored = await store.write(IMAGE, pieces(b""), 10)
        assert stored.size == 0
        assert store.path(IMAGE).read_bytes() == b""

    run(main())


def test_too_large_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(TooLarge):
            await store_in(tmp_path).write(IMAGE, pieces(b"x" * 5 * CHUNK_BYTES), 3 * CHUNK_BYTES)
        assert names(tmp_path) == []

    run(main())


def test_a_failing_source_leaves_nothing_and_an_older_file_alone(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 2 * CHUNK_BYTES
        raise ConnectionError

    async def main() -> None:
        store = store_in(tmp_path)
        await store.write(IMAGE, pieces(b"older"), 100)
        with pytest.raises(ConnectionError):
            await store.write(IMAGE, broken(), 1 << 30)
        assert names(tmp_path) == [IMAGE]
        assert store.path(IMAGE).read_bytes() == b"older"

    run(main())


def test_a_cancelled_upload_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        store, written = store_in(tmp_path), asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * CHUNK_BYTES
                written.set()
                await asyncio.sleep(0)

        task = asyncio.get_running_loop().create_task(store.write(IMAGE, endless(), 1 << 40))
        await written.wait()
        assert names(tmp_path)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert names(tmp_path) == []

    run(main())


def test_two_uploads_of_one_image_do_not_mix(tmp_path: Path) -> None:
    async def main() -> None:
        store = store_in(tmp_path)
        async with asyncio.TaskGroup() as group:
            for letter in (b"a", b"b"):
                group.create_task(store.write(IMAGE, pieces(letter * 3 * CHUNK_BYTES), 1 << 30))
        assert len(set(store.path(IMAGE).read_bytes())) == 1

    run(main())


def test_deleting_twice_is_no_error_and_reading_then_is(tmp_path: Path) -> None:
    async def main() -> None:
        store = store_in(tmp_path)
        await store.write(IMAGE, pieces(b"data"), 100)
        await store.delete(IMAGE)
        await store.delete(IMAGE)
        with pytest.raises(NotFound):
            await anext(store.read(IMAGE))

    run(main())


def test_a_sweep_keeps_what_is_known_and_removes_the_rest(tmp_path: Path) -> None:
    async def main() -> None:
        store = store_in(tmp_path)
        await store.sweep(())  # before the first image there is no directory
        await store.write(IMAGE, pieces(b"data"), 100)
        for orphan in ("orphan", f".{IMAGE}.1.1.part"):
            (tmp_path / "images" / orphan).touch()
        await store.sweep([IMAGE])
        assert names(tmp_path) == [IMAGE]

    run(main())
