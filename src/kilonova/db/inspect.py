# SPDX-License-Identifier: Apache-2.0
"""Read-only inspection of a database file that may be damaged, newer, or in use.  Nothing is changed or created.

Every function blocks, and raises DatabaseUnreadable and OSError.
"""

import json
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from kilonova.base.errors import DatabaseUnreadable
from kilonova.db.compatibility import lowest_in_file


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """`revision` is None for a database without a schema.  `damage` is SQLite's own description, empty for an intact
    database.  `lowest` is the lowest code version that may use it, where the database records it."""

    revision: str | None
    damage: str
    n_bytes: int
    lowest: int | None = None


def inspect(path: Path) -> DatabaseFacts:
    """Check the whole file.  Takes as long as reading all of it."""
    n_bytes = path.stat().st_size
    with _open(path) as connection:
        row = None
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        report = [str(line[0]) for line in connection.execute("PRAGMA quick_check(3)")]
        lowest = lowest_in_file(connection)
    damage = "" if report == ["ok"] else "; ".join(report)
    return DatabaseFacts(None if row is None else str(row[0]), damage, n_bytes, lowest)


def has_users(path: Path) -> bool:
    """Whether its first start is complete, so that a user can log in.  False also for an unreadable database."""
    try:
        with _open(path) as connection:
            return connection.execute("SELECT 1 FROM users").fetchone() is not None
    except DatabaseUnreadable:
        return False


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """An instance that is not deleted, or whose deletion on its host is not complete.  `busy`: an action is in
    progress."""

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
    """All instances, by one read.  Raises DatabaseUnreadable also for a revision that does not have these columns."""
    with _open(path) as connection:
        rows = connection.execute(_INSTANCES).fetchall()
    return tuple(InstanceRow(str(one[0]), one[1], str(one[2]), bool(one[3])) for one in rows)


def image_sizes(path: Path, store_id: str | None = None) -> Mapping[str, int | None]:
    """The size in bytes of each active image, as it was recorded at its upload, by image id; with a `store_id`, of
    those of which that store of a fleet has a copy."""
    query = "SELECT id, body FROM images WHERE status = 'active'"
    if store_id is not None:
        query += " AND id IN (SELECT image_id FROM image_copies WHERE store_id = ?)"
    with _open(path) as connection:
        rows = connection.execute(f"{query} ORDER BY id", () if store_id is None else (store_id,)).fetchall()
    return {str(image_id): json.loads(body).get("size") for image_id, body in rows}


@contextmanager
def _open(path: Path) -> Generator[sqlite3.Connection]:
    # Without a journal there is no writer, and opening it as immutable creates no files beside it.
    used = path.with_name(f"{path.name}-wal").exists()
    uri = f"file:{quote(str(path))}?mode=ro{'' if used else '&immutable=1'}"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=1.0)) as connection:
            yield connection
    except sqlite3.Error as exc:
        raise DatabaseUnreadable(str(exc)) from exc
