# SPDX-License-Identifier: Apache-2.0
"""Looking at a database that may be broken, newer, or in use: nothing is changed, nothing is made."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """`revision` None: nothing was ever made in it.  `damage` is SQLite's own words, empty when it is whole."""

    revision: str | None
    damage: str
    n_bytes: int


def inspect(path: Path) -> DatabaseFacts:
    """Read the SQLite file.  Blocks for as long as reading all of it takes; raises sqlite3.Error and OSError."""
    n_bytes = path.stat().st_size
    with closing(_open(path)) as connection:
        row = None
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        said = [str(line[0]) for line in connection.execute("PRAGMA quick_check(3)")]
    return DatabaseFacts(None if row is None else str(row[0]), "" if said == ["ok"] else "; ".join(said), n_bytes)


def has_users(path: Path) -> bool:
    """Somebody can use it already: its first start is over.  False also for what cannot be read.  Blocks."""
    try:
        with closing(_open(path)) as connection:
            return connection.execute("SELECT 1 FROM users").fetchone() is not None
    except sqlite3.Error:
        return False


def _open(path: Path) -> sqlite3.Connection:
    # Without a journal nobody writes, and opening it as immutable makes no files beside it.
    used = path.with_name(f"{path.name}-wal").exists()
    uri = f"file:{quote(str(path))}?mode=ro{'' if used else '&immutable=1'}"
    return sqlite3.connect(uri, uri=True, timeout=1.0)
