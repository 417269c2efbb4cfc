# SPDX-License-Identifier: Apache-2.0
"""What all tests share: quiet logs."""

import io

import pytest

from kilonova.base import logging


def pytest_configure() -> None:
    """The service's own log lines are not a test's output."""
    logging.set_up(stream=io.StringIO())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wait for real guests first: when they come last, one process waits alone."""
    items.sort(key=lambda item: item.get_closest_marker("live") is None)
