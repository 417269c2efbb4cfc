# SPDX-License-Identifier: Apache-2.0
"""A process whose wall clock is wrong.

All code reads the wall clock through base/clock (ruff bans the others), and libraries through `time.time`: both are
moved before the process begins.  The check of a certificate by OpenSSL still uses the clock of the machine.
"""

import time
from datetime import UTC, datetime, timedelta

from kilonova.base.clock import SystemClock


def shift(seconds: float) -> None:
    """The clock of this process is so many seconds ahead."""
    real = time.time
    time.time = lambda: real() + seconds  # pyright: ignore[reportAttributeAccessIssue]
    SystemClock.now = lambda _self: datetime.now(UTC) + timedelta(seconds=seconds)  # type: ignore[method-assign]


def prelude(seconds: float) -> str:
    """Words for the beginning of a program."""
    return f"from tests.live.other_clock import shift; shift({seconds}); "
