# SPDX-License-Identifier: Apache-2.0
"""A database that can be written to although the disk takes nothing more, for a while; and says when it cannot."""

import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.base.clock import SystemClock
from kilonova.base.errors import DatabaseUnavailable
from kilonova.base.threads import InlineWorkers
from kilonova.db import reserve
from kilonova.db.engine import Database
from kilonova.db.reserve import FILE_BYTES, PAGES, Reserve, release
from tests.make import database, run

ROW_BYTES = 3000


def keeper(db: Database, state: Path) -> Reserve:
    return Reserve(db, state, InlineWorkers(), SystemClock())


def allocated(state: Path) -> int:
    """Bytes of the database and its journal that the file system has given them."""
    return sum((state / name).stat().st_blocks * 512 for name in ("kilonova.db", "kilonova.db-wal"))


def pragma(db: Database, name: str) -> int:
    def ask(connection: sa.Connection) -> int:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()

    return run(db.write(ask))


def write_a_row(connection: sa.Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS rows (bytes BLOB)")
    connection.exec_driver_sql("INSERT INTO rows VALUES (randomblob(?))", (ROW_BYTES,))


def no_more_pages(db: Database) -> None:
    """From now on the file may not grow."""
    pragma(db, f"max_page_count = {pragma(db, 'page_count')}")


def writes(db: Database) -> int:
    """How many rows fit; at most 2,000."""
    for done in range(2000):
        try:
            run(db.write(write_a_row))
        except DatabaseUnavailable:
            return done
    return 2000


def test_with_the_reserve_much_can_be_written_within_what_the_files_have(tmp_path: Path) -> None:
    db = database(tmp_path)
    run(keeper(db, tmp_path).fill())
    before = allocated(tmp_path)
    assert before >= 2 * PAGES * 4096
    no_more_pages(db)
    assert writes(db) >= PAGES // 2
    assert allocated(tmp_path) == before


def test_without_it_little_can(tmp_path: Path) -> None:
    db = database(tmp_path)
    no_more_pages(db)
    assert writes(db) < 20


def test_it_is_filled_up_again_and_only_when_much_of_it_is_gone(tmp_path: Path) -> None:
    db = database(tmp_path)
    kept = keeper(db, tmp_path)
    run(kept.fill())
    pages = pragma(db, "page_count")
    run(kept.fill())
    assert pragma(db, "page_count") == pages
    for _ in range(PAGES):
        run(db.write(write_a_row))
    assert pragma(db, "freelist_count") < PAGES // 2
    run(kept.fill())
    assert pragma(db, "freelist_count") >= PAGES


def test_on_a_disk_without_ample_room_it_takes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = database(tmp_path)
    monkeypatch.setattr(reserve, "FILE_BYTES", 1 << 60)
    run(keeper(db, tmp_path).fill())
    assert not (tmp_path / reserve.NAME).exists()
    assert pragma(db, "freelist_count") < PAGES


def test_the_file_is_real_and_is_given_up_only_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(keeper(database(tmp_path), tmp_path).fill())
    file = tmp_path / reserve.NAME
    assert file.stat().st_blocks * 512 >= FILE_BYTES == file.stat().st_size
    release(tmp_path)
    assert file.exists()
    monkeypatch.setattr(reserve, "FILE_BYTES", 1 << 60)
    release(tmp_path)
    assert not file.exists()
    release(tmp_path)
    assert not [name for name in os.listdir(tmp_path) if "reserve" in name]


def test_a_write_that_the_machine_refused_is_trouble_until_one_succeeds(tmp_path: Path) -> None:
    db = database(tmp_path)
    assert run(db.trouble()) == ""
    no_more_pages(db)
    writes(db)
    assert "full" in run(db.trouble())
    pragma(db, "max_page_count = 1000000")

    def refuse(_connection: sa.Connection) -> Any:
        raise ValueError("not the machine's")

    with pytest.raises(ValueError, match="not the machine's"):
        run(db.write(refuse))
    assert run(db.trouble()) == ""
