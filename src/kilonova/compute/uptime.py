# SPDX-License-Identifier: Apache-2.0
"""Since when this machine runs, and its load, in the words of its own `uptime`: clients take that line apart."""

from kilonova.base.tools import run_limited

TOOL = "uptime"
LIMIT_S = 4.0
"""Less than whoever asks waits."""


async def uptime() -> str:
    """ " 16:10:41 up 21:16,  1 user,  load average: 0.16, 0.17, 0.20".  Raises HypervisorError."""
    said = await run_limited([TOOL], limit_s=LIMIT_S, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})
    return said.decode(errors="replace").rstrip("\n")
