# SPDX-License-Identifier: Apache-2.0
"""The space that deleted records leave in SQLite's file: new records use it, and when it is more than half of the file,
a part goes back to the file system, a few pages in each transaction.

PostgreSQL does this by itself: autovacuum makes the space of deleted rows free for new ones, and the files do not grow
further; VACUUM FULL or pg_repack, which an operator runs, make them smaller.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import structlog

from kilonova.db.dialect import is_postgresql
from kilonova.db.reserve import PAGES as RESERVED
from kilonova.db.transaction import Snapshot, Transaction

log = structlog.get_logger(__name__)

PAGES = 256
"""How many pages one transaction gives back: 1 MiB (measured: 1.4 ms, the sync included)."""
INCREMENTAL = 2
"""The mode of a file whose free pages can be given back (documentation of SQLite, PRAGMA auto_vacuum)."""


def surplus_pages(snapshot: Snapshot) -> int:
    """How many free pages should be given back now; 0 on PostgreSQL, and for a file that cannot shrink.

    A quarter of the used pages stays free, and twice the reserve (db/reserve): they are used again.
    """
    if is_postgresql(snapshot) or _pragma(snapshot, "auto_vacuum") != INCREMENTAL:
        return 0
    free, total = _pragma(snapshot, "freelist_count"), _pragma(snapshot, "page_count")
    kept = max(2 * RESERVED, (total - free) // 4)
    return max(0, free - kept) if free > total // 2 else 0


def give_back(tx: Transaction, pages: int) -> None:
    """Give so many free pages of SQLite's file back, at most PAGES.  The file is smaller after its next checkpoint."""
    for _ in range(min(pages, PAGES)):  # (the sqlite3 module ends the statement after one page)
        tx.exec_driver_sql("PRAGMA incremental_vacuum(1)")


def _pragma(snapshot: Snapshot, name: str) -> int:
    return int(snapshot.exec_driver_sql(f"PRAGMA {name}").scalar_one())


def make_shrinkable(path: Path) -> None:
    """Write a file of an earlier version anew, once, so that its free pages can be given back later.

    Blocks: about a second for 500 MB.  Without enough space on the disk the file stays as it is, and is used further.
    """
    try:
        with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
            if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != INCREMENTAL:
                connection.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
                connection.execute("VACUUM")
    except sqlite3.Error as exc:
        log.warning("the database cannot shrink: it could not be written anew", path=str(path), error=str(exc))
