# SPDX-License-Identifier: Apache-2.0
"""docs/upgrade.md lists what is kept for the previous release, and nothing is kept for longer."""

import re

from kilonova import CODE_VERSION
from lab.common import TOP

MARK = re.compile(r"goes\s+(?:#\s+)?in\s+version\s+(\d+)")
ROW = re.compile(r"^\| `([\w/]+\.py)` \| .* \| (\d+) \|$", re.MULTILINE)


def test_the_table_has_each_place_of_the_code() -> None:
    source = TOP / "src/kilonova"
    marked = sorted(
        (str(path.relative_to(source)), version)
        for path in source.rglob("*.py")
        for version in MARK.findall(path.read_text())
    )
    listed = sorted(ROW.findall((TOP / "docs/upgrade.md").read_text()))
    assert marked == listed
    assert marked


def test_nothing_is_kept_beyond_its_version() -> None:
    listed = ROW.findall((TOP / "docs/upgrade.md").read_text())
    assert [row for row in listed if int(row[1]) <= CODE_VERSION] == []
