# SPDX-License-Identifier: Apache-2.0
"""The host's cache of checked images. A file here is complete, has the checksum in its name, and was inspected: each
file is fsynced before it is renamed into place.
"""

import asyncio
import contextlib
import hashlib
import os
import re
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import ImageUnacceptable, ImageUnavailable
from kilonova.base.files import make_directory, make_file, open_plain, publish
from kilonova.base.locks import KeyedLocks
from kilonova.base.threads import Opening, Workers
from kilonova.compute.local_images import ImageFetch, ImageSource
from kilonova.images.inspect import inspect
from kilonova.objects.host_contents import CacheContents
from kilonova.objects.image import ImageRef
from kilonova.virt.base_image import BaseImage

log = structlog.get_logger(__name__)

FETCH_LIMIT_S = 6 * 3600.0
"""The time limit of one fetch; an action has its own deadline besides."""

JUST_USED_S = 600.0
"""A file that was used since is not removed for its space."""

KeptFree = Callable[[int], int]
"""The number of bytes that the cache must leave free on a file system of a given size."""

_NAME = re.compile(r"[0-9a-f]{40}\.[a-z0-9]+")
_PART_NAME = re.compile(rf"\.{_NAME.pattern}\.[0-9a-f-]+")
_CHUNK_BYTES = 1 << 20


class Digest(Protocol):
    """A hash that accepts bytes."""

    def update(self, data: bytes, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Usage:
    """The images of a cache and their bytes.  `is_short`: the file system has too little space."""

    images: int
    size_bytes: int
    is_short: bool


class ImageCache:
    """`root` is made when it is needed; its files are readable by every user, because QEMU runs as another user."""

    def __init__(self, root: Path, source: ImageSource, workers: Workers, clock: Clock) -> None:
        self._root, self._source, self._workers, self._clock = root, source, workers, clock
        self._locks = KeyedLocks()
        self._parts: set[str] = set()

    async def ensure(self, image: ImageRef, grant: str = "") -> BaseImage:
        """The image as a file on this host; fetched once for any number of concurrent builds.  `grant`: see
        local_images.ImageSource.

        Raises NotFound (no store has it), ImageUnavailable (no store sends it), ImageUnacceptable (wrong
        checksum, not in its format, refers to other files).  After a failure nothing is left in the cache.
        """
        path = self._root / image.cache_name
        base = BaseImage(path, image.disk_format, image.virtual_size)
        if await self._want(path):  # checked each time: the file may have been removed to free space
            return base
        async with self._locks.hold(path):
            if not await self._want(path):
                await self._fetch(image, path, grant)
                await self._want(path)
        return base

    async def _want(self, path: Path) -> bool:
        """Whether the file exists; if so, this counts as a use now."""
        return await self._workers.run(_touch, path, self._clock.now().timestamp())

    async def remove_unused(self, in_use: Collection[str], age_s: float) -> list[str]:
        """Remove files that are not `in_use` and were not used for so long; returns their names."""
        return await self._workers.run(_remove_unused, self._root, in_use, self._clock.now().timestamp() - age_s)

    async def make_room(self, in_use: Collection[str], kept_free: KeptFree) -> list[str]:
        """While less than `kept_free` is free, remove the file that was not used for the longest time.  Files that are
        `in_use` stay, and those that were used a moment ago: a disk may be made on them now.  Returns their names."""
        before = self._clock.now().timestamp() - JUST_USED_S
        return await self._workers.run(_make_room, self._root, in_use, before, kept_free)

    async def usage(self, kept_free: KeptFree) -> Usage:
        """The size of the cache, and whether its file system has less than `kept_free`."""
        return await self._workers.run(_usage, self._root, kept_free)

    async def renew(self, image: ImageRef, grant: str = "") -> None:
        """Fetch the image again, and replace its file in one rename: guests that run on the old file keep it open.
        Raises as `ensure` does; the old file stays then."""
        path = self._root / image.cache_name
        async with self._locks.hold(path):
            await self._fetch(image, path, grant)

    async def contents(self, in_use: Collection[str]) -> CacheContents:
        """What a round of `verify` compares.  Raises OSError."""
        return await self._workers.run(_contents, self._root, in_use, frozenset(self._parts))

    async def damaged(self) -> AsyncIterator[str]:
        """The names of the files whose bytes do not have the checksum in their name.  Reads all files, one after the
        other."""
        for path in await self._workers.run(_images, self._root):
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                if not (await self._workers.run(_digest, path)).startswith(path.name.partition(".")[0]):
                    yield path.name

    async def remove_unfinished(self, name: str) -> None:
        """Remove what a fetch has left, unless it goes on."""
        if _PART_NAME.fullmatch(name) and name not in self._parts:
            await self._workers.run(_discard, self._root / name)

    async def _fetch(self, image: ImageRef, path: Path, grant: str) -> None:
        part = path.with_name(f".{path.name}.{self._clock.new_id()}")
        self._parts.add(part.name)
        fetch = self._source.fetch(image, grant)
        try:
            async with asyncio.timeout(FETCH_LIMIT_S):
                while not await self._copy(image, part, fetch):
                    log.warning("a store sent other bytes than the image's", image_id=image.id)
                    if not fetch.refuse():
                        raise ImageUnacceptable(
                            f"Image {image.id} has not the checksum that was recorded for it.", image_id=image.id
                        )
            await self._workers.run(inspect, part, image.disk_format)
            await self._workers.run(_install, part, path)
        except TimeoutError as exc:
            raise ImageUnavailable(f"Image {image.id} was not fetched in {FETCH_LIMIT_S:.0f} s.") from exc
        finally:
            await self._workers.run(_discard, part)
            self._parts.discard(part.name)

    async def _copy(self, image: ImageRef, part: Path, fetch: ImageFetch) -> bool:
        """Whether the bytes of one read are the image's."""
        digest = hashlib.sha512()
        opening = Opening(partial(_create, part))
        try:
            out = await self._workers.run(opening.open)
            async with aclosing(fetch.read()) as chunks:
                async for chunk in chunks:
                    await self._workers.run(_append, out, digest, chunk)
            await self._workers.run(_sync, out)
        finally:
            await self._workers.run(opening.close)
        return digest.hexdigest() == image.sha512


def _touch(path: Path, at: float) -> bool:
    try:
        os.utime(path, (at, at))
    except FileNotFoundError:
        return False
    return True


def _remove_unused(root: Path, in_use: Collection[str], before: float) -> list[str]:
    removed: list[str] = []
    kept = {os.path.realpath(path) for path in in_use}
    for path in _images(root):
        if os.path.realpath(path) not in kept and path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
            removed.append(path.name)
    return removed


def _make_room(root: Path, in_use: Collection[str], before: float, kept_free: KeptFree) -> list[str]:
    kept = {os.path.realpath(path) for path in in_use}
    unused = [
        (path.stat().st_mtime, path)
        for path in _images(root)
        if os.path.realpath(path) not in kept and path.stat().st_mtime < before
    ]
    removed: list[str] = []
    for _, path in sorted(unused):
        if not _is_short(root, kept_free):
            break
        path.unlink(missing_ok=True)
        removed.append(path.name)
    return removed


def _usage(root: Path, kept_free: KeptFree) -> Usage:
    sizes = [path.stat().st_size for path in _images(root)]
    return Usage(len(sizes), sum(sizes), root.is_dir() and _is_short(root, kept_free))


def _images(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if _NAME.fullmatch(path.name)] if root.is_dir() else []


def _is_short(root: Path, kept_free: KeptFree) -> bool:
    found = os.statvfs(root)
    return found.f_bavail * found.f_frsize < kept_free(found.f_blocks * found.f_frsize)


def _contents(root: Path, in_use: Collection[str], parts: frozenset[str]) -> CacheContents:
    here = os.path.realpath(root)
    based_on = {os.path.realpath(path) for path in in_use}
    missing = sorted(path for path in based_on if os.path.dirname(path) == here and not os.path.exists(path))
    names = os.listdir(root) if root.is_dir() else []
    left = sorted(name for name in names if _PART_NAME.fullmatch(name) and name not in parts)
    return CacheContents(tuple(map(os.path.basename, missing)), tuple(left))


def _digest(path: Path) -> str:
    digest = hashlib.sha512()
    with open_plain(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _create(part: Path) -> BinaryIO:
    make_directory(part.parent, 0o755)
    part.parent.chmod(0o755)
    for stale in part.parent.glob(f"{part.name.rpartition('.')[0]}.*"):
        stale.unlink(missing_ok=True)  # left by a process that died: the lock excludes a writer of this image
    make_file(part)
    return part.open("wb")


def _append(out: BinaryIO, digest: Digest, chunk: bytes) -> None:
    digest.update(chunk)
    out.write(chunk)


def _sync(out: BinaryIO) -> None:
    out.flush()
    os.fsync(out.fileno())


def _install(part: Path, path: Path) -> None:
    part.chmod(0o644)
    publish(part, path)


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
