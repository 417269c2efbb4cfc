# SPDX-License-Identifier: Apache-2.0
"""Looking at a database that may be broken, newer, or in use: nothing is changed, nothing is made."""

import json
import sqlite3
from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """An instance that is not deleted, or whose delete is still to be done on its host.  `busy`: something is being
    done to it."""

    id: str
    host: str | None
    vm_state: str
    busy: bool


_INSTANCES = """
SELECT id, host, vm_state, task_state IS NOT NULL OR deleted_at IS NOT NULL OR open.instance_id IS NOT NULL
FROM instances LEFT JOIN (SELECT DISTINCT instance_id FROM actions WHERE state = 'open') AS open
ON open.instance_id = instances.id WHERE deleted_at IS NULL OR open.instance_id IS NOT NULL
"""


def instances(path: Path) -> tuple[InstanceRow, ...]:
    """By one read.  Blocks; raises sqlite3.Error, also for a database of another revision that has no such columns."""
    with closing(_open(path)) as connection:
        rows = connection.execute(_INSTANCES).fetchall()
    return tuple(InstanceRow(str(one[0]), one[1], str(one[2]), bool(one[3])) for one in rows)


def image_sizes(path: Path) -> Mapping[str, int | None]:
    """The bytes of each image that can be used, as they were counted when it was stored.  Blocks; raises
    sqlite3.Error."""
    with closing(_open(path)) as connection:
        rows = connection.execute("SELECT id, body FROM images WHERE status = 'active'").fetchall()
    return {str(image_id): json.loads(body).get("size") for image_id, body in rows}


def _open(path: Path) -> sqlite3.Connection:
    # Without a journal nobody writes, and opening it as immutable makes no files beside it.
    used = path.with_name(f"{path.name}-wal").exists()
    uri = f"file:{quote(str(path))}?mode=ro{'' if used else '&immutable=1'}"
    return sqlite3.connect(uri, uri=True, timeout=1.0)
