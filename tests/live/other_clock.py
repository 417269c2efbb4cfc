# SPDX-License-Identifier: Apache-2.0
"""A process whose wall clock is wrong.

All code reads the wall clock through base/clock (ruff bans the others), and libraries through `time.time`: both are
moved before the process begins.  The check of a certificate by OpenSSL still uses the clock of the machine.
"""

import mmap
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kilonova.base.clock import SystemClock

AHEAD = struct.Struct("d")
CLOCK_FILE = "KILONOVA_TEST_CLOCK"
"""The environment variable with the path of the file that a process's clock follows."""
BOOT_FILE = "KILONOVA_TEST_BOOT"
"""The environment variable with the path of the file that has its boot id (see other_boot)."""


def shift(seconds: float) -> None:
    """The clock of this process is so many seconds ahead."""
    real = time.time
    time.time = lambda: real() + seconds  # pyright: ignore[reportAttributeAccessIssue]
    SystemClock.now = lambda _self: datetime.now(UTC) + timedelta(seconds=seconds)  # type: ignore[method-assign]


def prelude(seconds: float) -> str:
    """Words for the beginning of a program."""
    return f"from tests.live.other_clock import shift; shift({seconds}); "


def follow(path: Path) -> None:
    """The clock of this process is always so many seconds ahead as the file says (see `set_ahead`)."""
    with path.open("rb") as file:
        memory = mmap.mmap(file.fileno(), AHEAD.size, prot=mmap.PROT_READ)
    real = time.time
    time.time = lambda: real() + AHEAD.unpack(memory)[0]  # pyright: ignore[reportAttributeAccessIssue]
    SystemClock.now = lambda _self: datetime.now(UTC) + timedelta(seconds=AHEAD.unpack(memory)[0])  # type: ignore[method-assign]


def set_ahead(path: Path, seconds: float) -> None:
    """Step the clocks of the processes that follow the file."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(AHEAD.pack(seconds))
