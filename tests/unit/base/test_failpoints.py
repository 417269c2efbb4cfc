# SPDX-License-Identifier: Apache-2.0
"""Failpoints do nothing unless armed, and fire once."""

from pathlib import Path

import pytest

from kilonova.base.errors import ConfigError
from kilonova.base.failpoints import Failpoints, from_environment


def test_unarmed_does_nothing() -> None:
    Failpoints().hit("anywhere")
    assert not Failpoints().is_active


def test_armed_fires_once() -> None:
    points = from_environment({"KILONOVA_FAILPOINTS": "here=fail"})
    points.hit("elsewhere")
    with pytest.raises(RuntimeError, match="failpoint"):
        points.hit("here")
    points.hit("here")


def test_an_unknown_action_and_an_unknown_name_are_errors_at_start() -> None:
    with pytest.raises(ConfigError, match="here=explode"):
        from_environment({"KILONOVA_FAILPOINTS": "here=explode"})
    points = from_environment({"KILONOVA_FAILPOINTS": "here=kill,there=kill"})
    with pytest.raises(ConfigError, match="unknown failpoints: there"):
        points.check({"here"})
    points.check({"here", "there"})


def test_a_file_arms_them_while_the_process_runs(tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    points = from_environment({"KILONOVA_FAILPOINTS": f"@{plan}"})
    assert points.is_active
    points.check({"here", "there"})
    points.hit("here")
    plan.write_text("here=fail")
    with pytest.raises(RuntimeError):
        points.hit("here")
    points.hit("here")
    plan.write_text("here=fail,there=fail")
    with pytest.raises(RuntimeError):
        points.hit("here")
    points.hit("nowhere")
    assert (tmp_path / "plan.hits").read_text().split() == ["here"] * 4 + ["?nowhere"]
    plan.write_text("nowhere=fail")
    with pytest.raises(ConfigError, match="unknown failpoints: nowhere"):
        from_environment({"KILONOVA_FAILPOINTS": f"@{plan}"}).check({"here"})
