# SPDX-License-Identifier: Apache-2.0
"""`[database] connection` with a PostgreSQL URL started happily on SQLite, and two conductors then split the records:
an option that is not obeyed ends the start, before anything is made."""

from pathlib import Path

import pytest

from kilonova.base.clock import SystemClock
from kilonova.base.errors import ConfigError
from kilonova.config.load import load
from kilonova.wiring.shared import open_database
from tests.make import run


def opened(state: Path, connection: str) -> None:
    settings = load(overrides={("DEFAULT", "state_path"): str(state), ("database", "connection"): connection})
    run(open_database(settings, SystemClock()).close())


def test_a_database_that_is_not_served_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    for url in ("postgresql://kilonova:hunter2@db/kilonova", "sqlite:////elsewhere/kilonova.db", "nonsense"):
        with pytest.raises(ConfigError, match=r"\[database\] connection") as refused:
            opened(tmp_path, url)
        assert "hunter2" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_the_one_that_is_used_may_be_named(tmp_path: Path) -> None:
    opened(tmp_path, f"sqlite:///{tmp_path}/kilonova.db")
    assert (tmp_path / "kilonova.db").exists()
