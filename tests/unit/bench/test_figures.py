# SPDX-License-Identifier: Apache-2.0
"""What the bench prints."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import page
from bench.__main__ import measure, wanted_keys
from bench.figures import TARGETS, CannotMeasure, Figure, Series, entry, missing
from bench.registry import GROUPS
from bench.run import Bench, Group
from bench.stats import median, ratio, rounded

CONTROL = Series("nothing", [1.0, 3.0, 2.0], "ms")


def test_median_rounding_and_ratio() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0
    with pytest.raises(ValueError, match="no samples"):
        median([])
    assert rounded(123456.7) == 123457.0
    assert rounded(0.00123456) == 0.001235
    assert rounded(0.0) == 0.0
    assert ratio([2.0, 4.0, 9.0], [2.0, 1.0, 3.0]) == 2.0


def test_an_entry_has_all_that_was_promised() -> None:
    shown = entry(Figure("post_ms", [10.0, 12.0, 14.0], "by hand", CONTROL))
    assert shown["value"] == 12.0
    assert (shown["n"], shown["samples"], shown["unit"]) == (3, [10.0, 12.0, 14.0], "ms")
    assert shown["control"] == {"what": "nothing", "value": 2.0, "unit": "ms", "samples": [1.0, 3.0, 2.0], "n": 3}
    assert (shown["target_first"], shown["target_then"], shown["met_first"]) == (15, 7, True)
    json.dumps(shown)


@pytest.mark.parametrize(
    ("key", "value", "met"),
    [
        ("post_ms", 15.0, True),
        ("post_ms", 15.1, False),
        ("create_rate", 30.0, True),
        ("create_rate", 29.0, False),
        ("transaction_ms", 1.0, None),
    ],
)
def test_met_is_at_most_or_at_least(key: str, value: float, met: bool | None) -> None:
    assert entry(Figure(key, [value], "", CONTROL))["met_first"] is met


def test_a_missing_figure_says_why_and_is_not_met() -> None:
    shown = missing("get_rate", "no wrk")
    assert (shown["value"], shown["met_first"], shown["missing"]) == (None, False, "no wrk")


def test_every_figure_has_exactly_one_group() -> None:
    keys = [key for group in GROUPS for key in group.keys]
    assert sorted(keys) == sorted(TARGETS)


def test_only_takes_keys_that_exist() -> None:
    assert wanted_keys("") == list(TARGETS)
    assert wanted_keys("post_ms, get_rate") == ["post_ms", "get_rate"]
    with pytest.raises(SystemExit, match="no figure nonsense"):
        wanted_keys("nonsense")


def test_what_was_measured_before_a_failure_is_kept(tmp_path: Path) -> None:
    def breaks(_bench: Bench) -> Iterator[Figure]:
        yield Figure("create_rate", [40.0], "", CONTROL)
        raise CannotMeasure("the box fell over")

    def bug(_bench: Bench) -> Iterator[Figure]:
        raise ZeroDivisionError("a defect")
        yield

    groups = [Group(("delete_rate", "create_rate"), breaks), Group(("pss_mib",), bug), Group(("post_ms",), bug)]
    entries = measure(Bench(tmp_path, quick=True), groups, ["create_rate", "delete_rate", "pss_mib"])
    assert list(entries) == ["create_rate", "delete_rate", "pss_mib"]
    assert entries["create_rate"]["value"] == 40.0
    assert entries["delete_rate"]["missing"] == "the box fell over"
    assert entries["pss_mib"]["missing"] == "ZeroDivisionError: a defect"


def test_the_page_has_a_row_and_a_way_for_each(tmp_path: Path) -> None:
    met = Figure("post_ms", [10.0, 12.0, 14.0], "by hand", CONTROL, {"two": Series("Two at once", [3.0], "ms")})
    missed = Figure("create_rate", [7.0], "by foot", CONTROL)
    entries = {"post_ms": entry(met), "create_rate": entry(missed), "get_rate": missing("get_rate", "no client")}
    page.write(entries, 0.5, tmp_path / "figures.md")
    text = (tmp_path / "figures.md").read_text()
    assert "| `post_ms` | 12 ms | 15 | 7 | 3 | 10 to 14 | 2 ms |" in text
    assert "| `create_rate` | 7 servers/s, **not met** | 30 | 100 |" in text
    assert "| `get_rate` | **missing**: no client | 500 | 1000 | 0 |  |  |" in text
    assert "- `post_ms`: by hand. Control: nothing. Two at once: 3 ms (n 1)." in text
