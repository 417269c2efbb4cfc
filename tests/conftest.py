# SPDX-License-Identifier: Apache-2.0
"""What all tests share: quiet logs."""

import io

from kilonova.base import logging


def pytest_configure() -> None:
    """The service's own log lines are not a test's output."""
    logging.set_up(stream=io.StringIO())
