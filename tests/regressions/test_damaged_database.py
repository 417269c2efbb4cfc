# SPDX-License-Identifier: Apache-2.0
"""A service that was started on a database with overwritten pages ended with a traceback, or served what was left of it
and made a new administrator."""

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from kilonova.base.errors import StateError
from kilonova.db.migrate import ensure_schema
from tests import make
from tests.unit.cmd.test_one_box import one_sentence, up
from tests.unit.db.test_engine import new_database


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "kilonova.db"
    ensure_schema(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE filler (n INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany("INSERT INTO filler (text) VALUES (?)", (("x" * 500,) for _ in range(1000)))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def damaged(whole: Path, path: Path, at: int, count: int) -> None:
    shutil.copy(whole, path)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(random.Random(at).randbytes(count))


@pytest.mark.parametrize(("at", "count"), [(8192, 60_000), (8192, 120_000), (200_000, 4096)])
def test_it_is_one_sentence(whole: Path, tmp_path: Path, at: int, count: int) -> None:
    damaged(whole, tmp_path / "kilonova.db", at, count)
    with pytest.raises(StateError, match=r"^The database \S+ is damaged: .*; restore a backup") as caught:
        ensure_schema(tmp_path / "kilonova.db")
    assert "\n" not in caught.value.message


def test_so_says_the_service(whole: Path, tmp_path: Path) -> None:
    damaged(whole, tmp_path / "kilonova.db", 8192, 60_000)
    before = (tmp_path / "kilonova.db").read_bytes()
    said = one_sentence(up("--state-path", str(tmp_path), "--listen", "127.0.0.1:0"))
    assert "is damaged" in said
    assert (tmp_path / "kilonova.db").read_bytes() == before


def test_damage_that_is_found_later_is_told_in_our_words(whole: Path, tmp_path: Path) -> None:
    damaged(whole, tmp_path / "t.db", 8192, 500_000)

    def look(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SELECT sum(length(text)) FROM filler").scalar()

    async def body() -> None:
        db = new_database(tmp_path)
        for ask in (db.read, db.write):
            with pytest.raises(StateError, match="damaged"):
                await ask(look)
        await db.close()

    make.run(body())
