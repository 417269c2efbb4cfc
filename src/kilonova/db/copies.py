# SPDX-License-Identifier: Apache-2.0
"""Copies of a SQLite database that may be in use: each is one moment of it, in one file."""

import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

KEPT = 3
"""Copies from before upgrades that stay; the oldest go."""


def copy_database(source: Path, target: Path) -> None:
    """Copy what is committed now, by SQLite's online backup: writers go on meanwhile.

    `target` is new, for its owner only, whole, in no need of a journal, and on stable storage when this returns; after
    a failure it is not there.  Blocks; raises sqlite3.Error and OSError.
    """
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with closing(sqlite3.connect(source, timeout=10)) as ours, closing(sqlite3.connect(target)) as copy:
            ours.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        os.fsync(descriptor)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def copy_before_upgrade(path: Path, revision: str, now: datetime) -> Path:
    """Keep the database of an older revision beside itself, and only the newest few of such copies.

    Blocks; raises sqlite3.Error and OSError, and leaves no half a copy.
    """
    kept = path.with_name(f"{path.name}.{revision}.{now:%Y%m%dT%H%M%SZ}")
    if not kept.exists():
        part = kept.with_name(f".{kept.name}.part")
        part.unlink(missing_ok=True)
        copy_database(path, part)
        part.rename(kept)
        fsync_directory(path.parent)
    for old in copies_of(path)[:-KEPT]:
        old.unlink(missing_ok=True)
    return kept


def copies_of(path: Path) -> list[Path]:
    """Copies from before upgrades, the oldest first."""
    found = path.parent.glob(f"{path.name}.[0-9][0-9][0-9][0-9].[0-9]*T[0-9]*Z")
    return sorted(found, key=lambda copy: copy.name.rpartition(".")[2])


def fsync_directory(path: Path) -> None:
    """Entries of the directory are on stable storage."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
