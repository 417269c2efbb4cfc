# SPDX-License-Identifier: Apache-2.0
"""docs/mechanisms.md names files and tests that exist."""

import ast
import re
from pathlib import Path

TOP = Path(__file__).parents[3]
ROWS = [
    line
    for line in (TOP / "docs" / "mechanisms.md").read_text().splitlines()
    if line.startswith("| ") and "`src/" in line
]
NAMED = re.compile(r"`((?:src|tests)/[^`:]+)(?:::(\w+))?`")


def names_in(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_each_row_names_a_file_and_a_test_that_exist() -> None:
    assert len(ROWS) > 40
    for row in ROWS:
        named = NAMED.findall(row)
        assert any(path.startswith("src/") for path, _ in named), row
        assert any(path.startswith("tests/") for path, _ in named), row
        for path, test in named:
            assert (TOP / path).is_file(), path
            assert not test or test in names_in(TOP / path), f"{path}::{test}"


def test_every_row_of_the_tables_is_checked() -> None:
    lines = (TOP / "docs" / "mechanisms.md").read_text().splitlines()
    heads = sum(line.startswith("|---") for line in lines)
    assert len(ROWS) == sum(line.startswith("|") for line in lines) - 2 * heads
