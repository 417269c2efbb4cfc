# SPDX-License-Identifier: Apache-2.0
"""The byte store of images: one file per image in one directory.

A file gets its name only when all of its bytes are on disk.  So a file with a name is complete after any crash.  The
file `store.id` identifies the directory: processes that share it serve the same store.
"""

import contextlib
import errno
import hashlib
import itertools
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path

from kilonova.base.clock import Clock
from kilonova.base.errors import NotFound, StorageFull, TooLarge
from kilonova.base.files import fsync_directory, make_directory, rename_file, replace_file
from kilonova.base.sightings import FILE, Sightings
from kilonova.base.threads import Lock, Workers
from kilonova.images.inspect import inspect
from kilonova.objects.ids import ImageId

CHUNK_BYTES = 1 << 20
"""The number of bytes that one call of a worker writes, hashes or reads."""

_PART = ".part"
ID_FILE = "store.id"
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Stored:
    """The bytes of one upload.  `size` in bytes; the hashes, in hex, are those of these bytes."""

    size: int
    md5: str
    sha512: str


Confirm = Callable[[Stored], Awaitable[None]]
"""Called with all bytes of an upload before they become the image's file; raises to refuse them."""


async def _accept(_stored: Stored) -> None:
    """Refuse nothing."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the store as a listing found it: an image, or the part of one.  `serial` changes when the file is
    replaced; `age_s` is the time since the last change."""

    name: str
    size: int
    serial: tuple[int, int]
    age_s: float

    @property
    def writer(self) -> str | None:
        """The writer of an unfinished file (see `ImageStore`); None for a complete one."""
        return self.name.split(".")[2] if self.name.endswith(_PART) and self.name.count(".") == 4 else None


class ImageStore:
    """The files of images under `root`, which is created at the first write; only the service can read them.

    Worker threads do all file I/O.  `kept_free` returns the number of bytes that images must leave free on a file
    system of a given size.  `writer` identifies this process in the names of unfinished files.
    """

    def __init__(
        self, root: Path, workers: Workers, kept_free: Callable[[int], int] = lambda _total: 0, writer: str = ""
    ) -> None:
        self._root, self._workers, self._kept_free = root, workers, kept_free
        self._writer = writer or str(os.getpid())
        self._serial = itertools.count(1)

    def keep_free(self, kept_free: Callable[[int], int]) -> None:
        """Set the limits; they apply from now on."""
        self._kept_free = kept_free

    async def check_room(self, more_bytes: int) -> None:
        """Check the free space.  Raises StorageFull when this number of bytes would leave less than must be kept."""
        await self._workers.run(_check_room, self._root, self._kept_free, more_bytes)

    @property
    def writer(self) -> str:
        """What identifies this process in the names of unfinished files."""
        return self._writer

    def sightings(self, clock: Clock) -> Sightings:
        """The record of files that earlier looks have found without an image."""
        return Sightings(self._root / FILE, self._workers, clock)

    def path(self, image_id: ImageId) -> Path:
        """The path of the image's bytes, whether they exist or not."""
        return self._root / image_id

    async def write(
        self, image_id: ImageId, chunks: AsyncIterator[bytes], max_bytes: int, confirm: Confirm = _accept
    ) -> Stored:
        """Store the bytes that `chunks` yields; an older file of the same image is replaced at the end.

        When it returns, file and name survive a power cut.  When it raises, nothing of these bytes remains: TooLarge
        beyond `max_bytes`, StorageFull, any exception of `chunks` and `confirm`, OSError, or cancellation.
        """
        name = f".{image_id}.{self._writer}.{next(self._serial)}{_PART}"
        part = _Part(self._root / name, partial(_check_room, self._root, self._kept_free))
        try:
            waiting: list[bytes] = []
            waiting_bytes = total = 0
            async for chunk in chunks:
                total += len(chunk)
                if total > max_bytes:
                    raise TooLarge(f"The image is larger than the limit of {max_bytes} bytes.", limit=max_bytes)
                waiting.append(chunk)
                waiting_bytes += len(chunk)
                if waiting_bytes >= CHUNK_BYTES:
                    await self._workers.run(part.append, waiting)
                    waiting, waiting_bytes = [], 0
            await self._workers.run(part.append, waiting)
            stored = await self._workers.run(part.sync)
            await confirm(stored)
            await self._workers.run(part.finish, self.path(image_id))
            return stored
        except OSError as exc:
            await self._workers.run(part.drop)
            if exc.errno not in _FULL:
                raise
            raise StorageFull(f"The image data cannot be stored now: {exc.strerror}. Try again later.") from exc
        except BaseException:
            # After a cancelled wait a worker may still write: `drop` waits for it.
            await self._workers.run(part.drop)
            raise

    async def read(self, image_id: ImageId, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """The image's bytes in pieces, from `start` on; `length` of them, or all.  Raises NotFound when the file does
        not exist."""
        reader = _Reader(self.path(image_id), start)
        try:
            left = sys.maxsize if length is None else length
            while piece := await self._workers.run(reader.read, min(CHUNK_BYTES, left)):
                left -= len(piece)
                yield piece
        except FileNotFoundError:
            raise NotFound(f"Image {image_id} has no data.", image_id=image_id) from None
        finally:
            await self._workers.run(reader.close)

    async def inspect(self, image_id: ImageId, declared_format: str) -> int:
        """The stored image's virtual size in bytes.  Raises ImageUnacceptable (see `inspect.inspect`)."""
        return await self._workers.run(inspect, self.path(image_id), declared_format)

    async def delete(self, image_id: ImageId) -> None:
        """Delete the image's bytes.  Missing bytes are not an error."""
        await self._workers.run(_remove, self.path(image_id))

    async def identify(self, new_id: str) -> str:
        """The id of the directory; `new_id` becomes it if the directory has none.  Raises OSError."""
        return await self._workers.run(_identify, self._root, new_id)

    async def identity(self) -> str | None:
        """The id of the directory; None when it has none, as a file system that is not mounted."""
        return await self._workers.run(store_id_of, self._root)

    async def size_of(self, image_id: ImageId) -> int | None:
        """The size in bytes of the stored file; None when there is no file."""
        return await self._workers.run(_size_of, self.path(image_id))

    async def digest(self, image_id: ImageId) -> str:
        """The SHA-512, in hex, of the stored bytes.  Raises NotFound, OSError."""
        digest = hashlib.sha512()
        async for piece in self.read(image_id):
            await self._workers.run(digest.update, piece)
        return digest.hexdigest()

    async def entries(self, now: float) -> list[Entry]:
        """All files of images, complete or not.  `now` in seconds since 1970."""
        return await self._workers.run(_entries, self._root, now)

    async def remove(self, entry: Entry) -> None:
        """Remove the file, unless it was replaced since the listing."""
        await self._workers.run(_remove_listed, self._root / entry.name, entry)

    async def sweep(self, keep: Collection[ImageId]) -> None:
        """Remove what crashes left: uploads that never ended and files of images that are not in `keep`.

        For the start, before any upload begins.
        """
        await self._workers.run(_sweep, self._root, frozenset(keep))


class _Part:
    """A file during its upload.  Its functions run in workers, one at a time, and do nothing after `drop`."""

    def __init__(self, path: Path, check_room: Callable[[int], None]) -> None:
        self._path, self._check_room = path, check_room
        self._lock = Lock()
        self._fd: int | None = None
        self._dropped = False
        self._size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha512 = hashlib.sha512()

    def append(self, chunks: Sequence[bytes]) -> None:
        """Write and hash the bytes."""
        data = b"".join(chunks)
        with self._lock:
            if self._dropped:
                return
            fd = self._open()
            self._check_room(len(data))
            _write_all(fd, data)
            self._size += len(data)
            self._md5.update(data)
            self._sha512.update(data)

    def sync(self) -> Stored:
        """Put the bytes on disk."""
        with self._lock:
            fd = self._open()
            os.fsync(fd)
            os.close(fd)
            self._fd = None
            return Stored(self._size, self._md5.hexdigest(), self._sha512.hexdigest())

    def finish(self, final: Path) -> None:
        """Rename the file, then put the name on disk."""
        with self._lock:
            if self._dropped:
                return
            rename_file(self._path, final)

    def drop(self) -> None:
        """Remove the partial file; after `finish` there is nothing to remove."""
        with self._lock:
            self._dropped = True
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
            _remove(self._path)

    def _open(self) -> int:
        if self._fd is None:
            make_directory(self._path.parent, 0o700)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return self._fd


def _check_room(root: Path, kept_free: Callable[[int], int], more_bytes: int) -> None:
    """Check the free space of the file system of `root`, or of its nearest existing parent.  Raises StorageFull."""
    place = root
    while not place.exists() and place != place.parent:
        place = place.parent
    found = os.statvfs(place)
    free, keep = found.f_bavail * found.f_frsize, kept_free(found.f_blocks * found.f_frsize)
    if keep and free - more_bytes < keep:
        raise StorageFull(
            "There is no room for the image: what is left of the disk is kept for everything else. "
            "Try again when images or servers were deleted."
        )


class _Reader:
    """A file that the first read opens.  A reader that was closed opens nothing, so that a caller which is cancelled
    while a worker opens the file leaves no descriptor."""

    def __init__(self, path: Path, start: int) -> None:
        self._path, self._start = path, start
        self._lock = Lock()
        self._file: FileIO | None = None
        self._closed = False

    def read(self, length: int) -> bytes:
        with self._lock:
            if self._closed:
                return b""
            if self._file is None:
                self._file = FileIO(self._path, "rb")
                self._file.seek(self._start)
            return self._file.read(length)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def _sweep(root: Path, keep: frozenset[ImageId]) -> None:
    if not root.is_dir():
        return
    root.chmod(0o700)  # an earlier version created it, and its files, readable for all users
    for path in root.iterdir():
        if path.name.endswith(_PART) or (path.name not in keep and path.name != ID_FILE):
            _remove(path)


def _identify(root: Path, new_id: str) -> str:
    """Several processes on a shared directory get the same id: a link cannot replace the file of another."""
    path = root / ID_FILE
    make_directory(root, 0o700)
    if not path.exists():
        mine = root / f"{ID_FILE}.{new_id}"
        replace_file(mine, new_id.encode(), directory_mode=0o700)
        try:
            with contextlib.suppress(FileExistsError):
                os.link(mine, path)
        finally:
            _remove(mine)
        fsync_directory(root)
    return path.read_text().strip()


def store_id_of(root: Path) -> str | None:
    """The id of the store in the directory; None when it has none.  Blocking."""
    try:
        return (root / ID_FILE).read_text().strip()
    except FileNotFoundError:
        return None


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _entries(root: Path, now: float) -> list[Entry]:
    found: list[Entry] = []
    if not root.is_dir():
        return found
    with os.scandir(root) as listing:
        for one in listing:
            if one.name.startswith(ID_FILE):
                continue
            with contextlib.suppress(FileNotFoundError):
                stat = one.stat(follow_symlinks=False)
                serial = (stat.st_ino, stat.st_mtime_ns)
                found.append(Entry(one.name, stat.st_size, serial, now - stat.st_mtime))
    return found


def _remove_listed(path: Path, entry: Entry) -> None:
    with contextlib.suppress(FileNotFoundError):
        stat = path.stat(follow_symlinks=False)
        if (stat.st_ino, stat.st_mtime_ns) == entry.serial:
            path.unlink()
