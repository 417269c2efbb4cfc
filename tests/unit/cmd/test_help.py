# SPDX-License-Identifier: Apache-2.0
"""`kilonova --help`, as a stranger reads it."""

import pytest
from typer.testing import CliRunner

from kilonova import __version__
from kilonova.cmd.main import app


@pytest.mark.parametrize("group", ["", "user", "project", "role", "role assignment", "policy", "host", "bus"])
def test_no_command_is_described_by_half_a_sentence(group: str) -> None:
    done = CliRunner().invoke(app, [*group.split(), "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert done.exit_code == 0
    described = done.output.partition("Commands:\n")[2].splitlines()
    assert len(described) > 0
    assert [line for line in described if line.rstrip().endswith("...")] == []


def test_the_version_is_told_in_both_ways() -> None:
    for word in ("--version", "version"):
        assert CliRunner().invoke(app, [word]).output == f"{__version__}\n"
