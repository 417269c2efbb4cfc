# SPDX-License-Identifier: Apache-2.0
"""The files of a run, in memory where that is possible: a simulation cannot lose power.

All runs of a process use the same path, one after the other, and the same engine: compiled statements are kept.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from kilonova.base.threads import InlineWorkers
from kilonova.db.location import sqlite_url
from kilonova.db.sqlite import SqliteDatabase, make_engine

MEMORY = Path("/dev/shm")


@contextmanager
def directory() -> Generator[Path]:
    """An empty directory, which is removed afterwards."""
    above = MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())
    path = above / f"kilonova-simulation-{os.getpid()}"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@cache
def _engine(url: str) -> sa.Engine:
    engine = make_engine(url, readers=3)

    def on_connect(connection: Any, _record: Any) -> None:
        connection.create_function("simulated_s", 0, lambda: asyncio.get_running_loop().time())

    event.listen(engine, "connect", on_connect)
    return engine


class _Database(SqliteDatabase):
    def __init__(self, url: str) -> None:
        workers = InlineWorkers()
        super().__init__(url, writer=workers, reader=workers)
        self._engine = _engine(url)


def open_database(path: Path) -> SqliteDatabase:
    """A database whose transactions run in the caller's thread."""
    return _Database(sqlite_url(path))
