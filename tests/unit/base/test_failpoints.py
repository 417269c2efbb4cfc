# SPDX-License-Identifier: Apache-2.0
"""Failpoints do nothing unless armed, and fire once."""

import pytest

from kilonova.base.failpoints import Failpoints, from_environment


def test_unarmed_does_nothing() -> None:
    Failpoints().hit("anywhere")


def test_armed_fires_once() -> None:
    points = from_environment({"KILONOVA_FAILPOINTS": "here=fail"})
    points.hit("elsewhere")
    with pytest.raises(RuntimeError, match="failpoint"):
        points.hit("here")
    points.hit("here")


def test_an_unknown_action_is_a_mistake_of_the_test() -> None:
    with pytest.raises(KeyError):
        from_environment({"KILONOVA_FAILPOINTS": "here=explode"})
