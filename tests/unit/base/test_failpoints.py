# SPDX-License-Identifier: Apache-2.0
"""Failpoints do nothing unless armed, and fire once."""

import pytest

from kilonova.base.errors import ConfigError
from kilonova.base.failpoints import Failpoints, from_environment


def test_unarmed_does_nothing() -> None:
    Failpoints().hit("anywhere")


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
