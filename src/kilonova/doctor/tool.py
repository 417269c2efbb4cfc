# SPDX-License-Identifier: Apache-2.0
"""Runs programs of the host."""

import shutil
import subprocess
from collections.abc import Sequence

TOOL_S = 2.0


def output_of(argv: Sequence[str], path: str | None = None) -> str | None:
    """The output of the program; None when it is not installed, fails, or takes longer than two seconds (it is then
    killed)."""
    program = shutil.which(argv[0], path=path)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TOOL_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
