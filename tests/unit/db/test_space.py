# SPDX-License-Identifier: Apache-2.0
"""SQLite's file gives the space of many deleted records back, a little at a time, and keeps what is used again."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from kilonova.db import space
from kilonova.db.engine import Database
from kilonova.db.transaction import Transaction
from tests import template
from tests.make import run

ROW_BYTES = 4000


def pages(db: Database, name: str) -> int:
    return run(db.read(lambda tx: int(tx.exec_driver_sql(f"PRAGMA {name}").scalar_one())))


def fill(tx: Transaction, rows: int) -> None:
    tx.exec_driver_sql("CREATE TABLE rows (bytes BLOB)")
    tx.execute(sa.text("INSERT INTO rows VALUES (zeroblob(:size))"), [{"size": ROW_BYTES}] * rows)


def empty(tx: Transaction, keep: int) -> None:
    tx.exec_driver_sql("DELETE FROM rows WHERE rowid > ?", (keep,))


def test_much_free_space_is_given_back_in_small_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "RESERVED", 100)
    path = tmp_path / "kilonova.db"
    template.put_schema(path)
    db = template.open_inline(path)
    run(db.write(fill, 2000))
    run(db.write(empty, 1500))
    assert run(db.read(space.surplus_pages)) == 0  # less than half of the file
    run(db.write(empty, 300))
    free, transactions = pages(db, "freelist_count"), 0
    while surplus := run(db.read(space.surplus_pages)):
        before = pages(db, "page_count")
        run(db.write(space.give_back, surplus))
        assert before - pages(db, "page_count") <= space.PAGES + 2  # (with pages of the map of pages)
        transactions += 1
        if transactions * space.PAGES > free:
            raise AssertionError("the space does not become free")
    assert transactions > 1
    used = pages(db, "page_count") - pages(db, "freelist_count")
    assert pages(db, "freelist_count") == max(2 * space.RESERVED, used // 4)
    n_bytes = pages(db, "page_count") * pages(db, "page_size")
    run(db.close())
    assert path.stat().st_size == n_bytes


def test_a_file_of_an_earlier_version_is_written_anew_once(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE t (b BLOB); INSERT INTO t VALUES (zeroblob(1000000)); DELETE FROM t")
    large = path.stat().st_size
    space.make_shrinkable(path)
    assert path.stat().st_size < large // 10
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (space.INCREMENTAL,)
    again = path.stat().st_mtime_ns
    space.make_shrinkable(path)
    assert path.stat().st_mtime_ns == again
    path.write_bytes(b"this is no database" * 100)
    space.make_shrinkable(path)  # (the start itself says so)
