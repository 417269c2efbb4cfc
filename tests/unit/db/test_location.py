# SPDX-License-Identifier: Apache-2.0
"""Where the database is, and that only kilonova.db knows it."""

import re
from pathlib import Path

import pytest

import kilonova
from kilonova.base.errors import DatabaseUnreadable
from kilonova.config.load import load
from kilonova.db import copies, location
from kilonova.db.inspect import image_sizes, inspect, instances
from kilonova.db.opening import read_beside
from kilonova.db.readers.notifications import newest
from tests import make

ROOT = Path(kilonova.__file__).parent
KNOWS = re.compile(
    r"^\s*(?:import|from) (?:sqlite3|sqlalchemy|alembic)|/kilonova\.db\b|\"kilonova\.db(?:-wal)?\"", re.MULTILINE
)


def test_nobody_above_the_database_knows_its_kind_or_its_file() -> None:
    found = {str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if KNOWS.search(path.read_text())}
    above = {name for name in found if not name.startswith("db/")}
    # (The module names that a compute process must not import, and the help of an option.)
    assert above == {"cmd/compute.py", "config/database.py"}
    assert "db/location.py" in found


def test_a_state_directory_without_a_database(tmp_path: Path) -> None:
    assert not location.database_path(tmp_path).exists()
    with pytest.raises(DatabaseUnreadable, match=rf"There is no database {tmp_path}/kilonova\.db\."):
        location.existing_database(tmp_path)
    with pytest.raises(DatabaseUnreadable, match="There is no database"):
        make.run(read_beside(tmp_path, load().database, newest, 1))


def test_a_file_that_is_no_database_is_an_error_of_the_catalogue(tmp_path: Path) -> None:
    path = location.database_path(tmp_path)
    path.write_bytes(b"nonsense" * 1000)
    for look in (inspect, instances, image_sizes):
        with pytest.raises(DatabaseUnreadable, match="not a database"):
            look(path)
    with pytest.raises(DatabaseUnreadable, match="not a database"):
        copies.copy_database(path, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    with pytest.raises(DatabaseUnreadable, match="not a database"):
        copies.forget_images(path)


def test_a_database_of_another_revision_is_an_error_of_the_catalogue(tmp_path: Path) -> None:
    location.database_path(tmp_path).touch()
    with pytest.raises(DatabaseUnreadable, match="cannot be read: no such table: notifications"):
        make.run(read_beside(tmp_path, load().database, newest, 1))
