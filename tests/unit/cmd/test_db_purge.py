# SPDX-License-Identifier: Apache-2.0
"""`kilonova db purge`: counts or purges, beside a service that uses the database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kilonova.base.errors import DatabaseUnreadable
from kilonova.cmd.main import app
from kilonova.db.copies import copy_before_upgrade
from tests.unit.conductor.desk import Desk
from tests.unit.conductor.test_housekeeping import deleted, listed


def purge(state: Path, *words: str) -> dict[str, int]:
    """The rows of each kind that the command prints, without those of which there are none."""
    done = CliRunner().invoke(app, ["db", "purge", "--state-path", str(state), *words])
    if done.exception is not None:
        raise done.exception
    lines = (line.strip("│ ").split("│") for line in done.output.splitlines() if "│" in line)
    return {kind.strip(): int(rows) for kind, rows in lines if int(rows)}


def test_the_command_counts_and_then_purges(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnreadable, match="no database"):
        purge(tmp_path)
    desk = Desk(tmp_path)
    desk.active()
    ids = [deleted(desk, number) for number in range(3)]
    long_ago = datetime.now(UTC) - timedelta(days=31)
    copy = copy_before_upgrade(tmp_path / "kilonova.db", "0001", long_ago)
    due = {"deleted servers": 3, "actions": 6, "copies of the database": 1}
    assert purge(tmp_path, "--before", "0", "--dry-run") == due
    assert listed(desk) == ids[::-1]
    assert copy.exists()
    assert purge(tmp_path, "--before", "36500") == {}
    assert purge(tmp_path) == due  # (the desk's times are older than keep_deleted_days)
    assert listed(desk) == []
    assert not copy.exists()
    assert purge(tmp_path) == {}
