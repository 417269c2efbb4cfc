# SPDX-License-Identifier: Apache-2.0
"""`kilonova verify`: its exit status, and what a watch prints."""

import json
from typing import Any

import pytest

from kilonova.cmd.verify import DIFFERENT, SAME, UNSEEN, Report, changes

ONE, TWO = ("claim", "h1", "h1"), ("disk-missing", "h1", "a")
WAS: dict[tuple[Any, ...], str] = {ONE: "The claim is wrong."}
NOW: dict[tuple[Any, ...], str] = {TWO: "The disk is missing."}


@pytest.mark.parametrize(
    ("report", "status"),
    [
        (Report(3), SAME),
        (Report(3, [{}], count=1), DIFFERENT),
        (Report(3, unseen=["Host h1 could not be compared."]), UNSEEN),
        (Report(3, [{}], ["Host h1 could not be compared."], 1), UNSEEN),
        (Report(3, [{"outcome": "repaired"}], count=0), SAME),
    ],
)
def test_the_exit_status_says_what_a_script_must_know(report: Report, status: int) -> None:
    assert report.exit_status == status
    assert (SAME, DIFFERENT, UNSEEN) == (0, 1, 2)


def test_a_watch_prints_what_is_new_and_what_has_ended() -> None:
    lines = [line.partition(" ")[2] for line in changes(WAS, NOW, as_json=False)]
    assert lines == ["new disk-missing: The disk is missing.", "ended claim: The claim is wrong."]
    assert list(changes(NOW, NOW, as_json=False)) == []
    (new, ended) = (json.loads(line) for line in changes(WAS, NOW, as_json=True))
    assert (new["change"], new["code"], new["host"], new["subject"]) == ("new", *TWO)
    assert (ended["change"], ended["code"]) == ("ended", "claim")


def test_what_could_not_be_compared_has_not_ended() -> None:
    unseen: dict[tuple[Any, ...], str] = {("unseen", None, "why"): "why"}
    (line,) = changes(WAS, unseen, as_json=False)
    assert line.endswith("new unseen: why")
