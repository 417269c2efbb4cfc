# SPDX-License-Identifier: Apache-2.0
"""The file of a record.

    file   = MAGIC frame*
    frame  = length (4 bytes), CRC-32 of the body (4 bytes), body
    body   = deflate(values.encode([entry, ...]))

An entry is a tuple that begins with its kind.  The first entry is the head.  A frame is written at once; after the end
of a process in the middle of a frame the record ends with the frame before.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import StateError
from kilonova.base.threads import Workers
from kilonova.record import values

log = structlog.get_logger(__name__)

Entry = tuple[Any, ...]

MAGIC = b"KILONOVA RECORD 1\n"
FRAME = struct.Struct(">II")
FLUSH_S = 0.25
"""How long an entry is only in memory.  A process that ends without a signal loses as much."""
MOST_BYTES = 64 << 20
"""So many bytes may wait for a slow disk; then the record ends."""
MOST_FRAME = 256 << 20
"""A longer frame, before or after it is inflated, is damage."""
LEVEL = 1
"""Of deflate: the fastest."""


class Kind(IntEnum):
    """The kinds of entries, with what follows in the tuple.

    A turn of the loop begins with START, TICK, RESULT, ERROR, MESSAGE, RECORDED or STOP, each with the times of the
    monotonic clock and of the wall clock in seconds.  The other entries tell what the code did in this turn.
    """

    HEAD = 0
    """The version of the code, the kind of process, its settings."""
    START = 1
    TICK = 2
    """Timers are due."""
    RESULT = 3
    """The number of a call, its result."""
    ERROR = 4
    """The number of a call, its error."""
    MESSAGE = 5
    """The number of a subscription, the number of the message, subject, payload."""
    RECORDED = 6
    """The database reports a committed notification."""
    STOP = 7
    """The process ends; a replay ends here."""
    CALL = 8
    """The number of the call, its name, the hash of all calls so far."""
    REPLY = 9
    """The number of the message, the hash of all calls so far."""
    VALUE = 10
    """What was read, its value: an id, a secret, a property of a connection."""


TURNS = frozenset({Kind.START, Kind.TICK, Kind.RESULT, Kind.ERROR, Kind.MESSAGE, Kind.RECORDED, Kind.STOP})


class RecordFile:
    """Writes entries.  The file is written in `workers`; `add` only appends to a list.

    The record ends at `max_bytes`, when the file cannot be written, or when the disk is too slow: with one line in the
    log, and the process continues.
    """

    def __init__(self, path: Path, max_bytes: int, workers: Workers) -> None:
        """Create the file, readable only by its owner; a file of this name becomes `path`.1.  Raises StateError."""
        self._path, self._max, self._workers = path, max_bytes, workers
        self._entries: list[Entry] = []
        self._waiting, self._written = 0, len(MAGIC)
        self.ended = False
        try:
            if path.exists():
                path.replace(path.with_name(f"{path.name}.1"))
            self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            os.write(self._file, MAGIC)
        except OSError as exc:
            raise StateError(f"The record {path} ([record] file) cannot be written: {exc.strerror}.") from exc

    def add(self, entry: Entry, size: int = 0) -> None:
        """Append an entry; `size` is the number of bytes of its large part."""
        if self.ended:
            return
        self._entries.append(entry)
        self._waiting += size
        if self._waiting > MOST_BYTES:
            self.end("the disk is too slow for it")

    async def keep(self, clock: Clock) -> None:
        """Write what was added, until the record ends."""
        while not self.ended:
            await clock.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what was added."""
        if not self._entries:
            return
        entries, self._entries, self._waiting = self._entries, [], 0
        trouble = await self._workers.run(self._write, entries)
        if trouble:
            self.end(trouble)

    async def close(self) -> None:
        """Write the rest, and close the file."""
        await self.flush()
        self.ended = True
        await self._workers.run(os.close, self._file)

    def _write(self, entries: list[Entry]) -> str:
        """Append a frame.  Returns why the record ends, empty if it continues."""
        frame = frame_of(entries)
        if self._written + len(frame) > self._max:
            return f"it has reached {self._max >> 20} MiB ([record] max_mib)"
        try:
            rest = memoryview(frame)
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as exc:
            return f"its file cannot be written: {exc.strerror}"
        self._written += len(frame)
        return ""

    def end(self, why: str) -> None:
        """Write no more, with one line in the log."""
        if not self.ended:
            log.warning("the record of this process ends", file=str(self._path), reason=why)
        self.ended, self._entries = True, []


def frame_of(entries: list[Entry]) -> bytes:
    """The frame of these entries."""
    body = zlib.compress(values.encode(entries), LEVEL)
    return FRAME.pack(len(body), zlib.crc32(body)) + body


def entries_of(path: Path) -> Iterator[Entry]:
    """The entries of a file, up to its last whole frame.  Raises StateError for a file that is no record."""
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise StateError(f"{path} is not a record of this version of the format.")
            while (body := _body(file)) is not None:
                yield from _entries(body)
    except OSError as exc:
        raise StateError(f"The record {path} cannot be read: {exc.strerror}.") from exc


def _body(file: BinaryIO) -> bytes | None:
    head = file.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    length, checksum = FRAME.unpack(head)
    if length > MOST_FRAME:
        return None
    body = file.read(length)
    return body if len(body) == length and zlib.crc32(body) == checksum else None


def _entries(body: bytes) -> list[Entry]:
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(body, MOST_FRAME)
    except zlib.error as exc:
        raise StateError(f"The record has a frame that cannot be inflated: {exc}.") from exc
    found: object = values.decode(data)
    if not isinstance(found, list) or not all(isinstance(one, tuple) and one for one in found):
        raise StateError("The record has a frame without entries.")
    return found
