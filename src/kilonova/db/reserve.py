# SPDX-License-Identifier: Apache-2.0
"""Reserved space in the database's own files, for writes when other files have filled the disk.

The reserve consists of free pages in the database that were written before, and of a journal of the same size: SQLite
uses both before it requests space from the file system.  A separate file is deleted when a service starts on a full
disk, because its journal is new then.  On a file system that writes every block to a new place (btrfs, ZFS) only the
file helps.
"""

import contextlib
import os
from pathlib import Path

import sqlalchemy as sa
import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import DatabaseUnavailable
from kilonova.base.files import rename_file
from kilonova.base.threads import Workers
from kilonova.db.engine import Database

log = structlog.get_logger(__name__)

NAME = "reserve"
FILE_BYTES = 24 << 20
PAGES = 2048
"""In pages of 4 KiB: a delete, its action and its events take two or three."""
FIRST_S, PERIOD_S = 10.0, 60.0


def release(state: Path) -> None:
    """Before the database is opened: without space for its journal, delete the reserve file."""
    with contextlib.suppress(OSError):
        if _free(state) < FILE_BYTES and (state / NAME).exists():
            (state / NAME).unlink()
            log.warning("the disk is full: the reserve is used up", state=str(state))


class Reserve:
    """Keeps the reserve of one database, in `state`."""

    def __init__(self, db: Database, state: Path, workers: Workers, clock: Clock) -> None:
        self._db, self._state, self._workers, self._clock = db, state, workers, clock
        self._journal_grown = False

    async def keep(self) -> None:
        """Fill the reserve from time to time, without an end."""
        await self._clock.sleep(FIRST_S)
        while True:
            try:
                await self.fill()
            except (DatabaseUnavailable, OSError) as exc:
                log.info("the database's reserve is not filled up now", error=str(exc))
            await self._clock.sleep(PERIOD_S)

    async def fill(self) -> None:
        """Fill the whole reserve, if there is ample free space for it.  Raises DatabaseUnavailable, OSError."""
        if not await self._workers.run(_is_ample, self._state):
            return
        await self._workers.run(_make_file, self._state / NAME)
        if self._journal_grown and await self._db.read(_free_pages) >= PAGES // 2:
            return
        # Two transactions, so that the pages have been written to the disk before they are free.
        await self._db.write(_take_pages)
        await self._db.write(_free_them)
        self._journal_grown = True


def _free(state: Path) -> int:
    found = os.statvfs(state)
    return found.f_bavail * found.f_frsize


def _is_ample(state: Path) -> bool:
    return _free(state) > 8 * FILE_BYTES


def _make_file(path: Path) -> None:
    if path.exists():
        return
    part = path.with_name(f".{NAME}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(handle, 0, FILE_BYTES)
        os.fsync(handle)
        rename_file(part, path)
    finally:
        os.close(handle)
        part.unlink(missing_ok=True)


def _free_pages(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())


def _take_pages(connection: sa.Connection) -> None:
    size = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    connection.exec_driver_sql("DROP TABLE IF EXISTS reserve")
    connection.exec_driver_sql("CREATE TABLE reserve (bytes BLOB)")
    connection.exec_driver_sql("INSERT INTO reserve VALUES (zeroblob(?))", (PAGES * size,))


def _free_them(connection: sa.Connection) -> None:
    connection.exec_driver_sql("DROP TABLE IF EXISTS reserve")
