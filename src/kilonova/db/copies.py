# SPDX-License-Identifier: Apache-2.0
"""Copies of a database that may be in use.  Each copy is one consistent state of it, in one file."""

import os
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from kilonova.base.errors import DatabaseUnreadable
from kilonova.base.files import rename_file

log = structlog.get_logger(__name__)

KEPT = 3
"""How many copies from before upgrades are kept; the oldest are removed first."""


def copy_database(source: Path, target: Path) -> None:
    """Copy what is committed now, by SQLite's online backup; writers are not blocked.

    `target` is new, readable by its owner only, complete, without a journal, and on stable storage when this returns;
    after a failure it does not exist.  Blocks; raises DatabaseUnreadable and OSError.
    """
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with closing(sqlite3.connect(source, timeout=10)) as original, closing(sqlite3.connect(target)) as copy:
            original.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        os.fsync(descriptor)
    except sqlite3.Error as exc:
        target.unlink(missing_ok=True)
        raise DatabaseUnreadable(str(exc)) from exc
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def forget_images(copy: Path) -> None:
    """Remove the records of all images from a copy.  Blocks; raises DatabaseUnreadable."""
    try:
        with closing(sqlite3.connect(copy)) as connection, connection:
            connection.execute("DELETE FROM images")
    except sqlite3.Error as exc:
        raise DatabaseUnreadable(str(exc)) from exc


def copy_before_upgrade(path: Path, revision: str, now: datetime) -> Path:
    """Copy a database of an older revision into its own directory, and remove all but the newest KEPT copies.

    Blocks; raises DatabaseUnreadable and OSError, and leaves no partial copy.
    """
    kept = path.with_name(f"{path.name}.{revision}.{now:%Y%m%dT%H%M%SZ}")
    if not kept.exists():
        part = kept.with_name(f".{kept.name}.part")
        part.unlink(missing_ok=True)
        copy_database(path, part)
        rename_file(part, kept)
    for old in copies_of(path)[:-KEPT]:
        old.unlink(missing_ok=True)
    return kept


def copies_of(path: Path) -> list[Path]:
    """Copies from before upgrades, the oldest first."""
    found = path.parent.glob(f"{path.name}.[0-9][0-9][0-9][0-9].[0-9]*T[0-9]*Z")
    return sorted(found, key=lambda copy: copy.name.rpartition(".")[2])


def copies_older_than(path: Path, age: timedelta, now: datetime) -> list[Path]:
    """Those of these copies that are older: they contain servers that are purged from the database itself."""
    limit = f"{now - age:%Y%m%dT%H%M%SZ}"
    return [copy for copy in copies_of(path) if copy.name.rpartition(".")[2] < limit]


def remove_old(path: Path, age: timedelta, now: datetime) -> None:
    """Remove the copies that are older.  Blocks; raises OSError."""
    for copy in copies_older_than(path, age, now):
        copy.unlink(missing_ok=True)
        log.info("an old copy of the database was removed", copy=str(copy))
