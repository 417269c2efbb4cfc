# SPDX-License-Identifier: Apache-2.0
"""How long this machine has been running, and its load, as the line that `uptime` prints: clients parse that line."""

from kilonova.base.tools import run_limited

TOOL = "uptime"
LIMIT_S = 4.0
"""Less than the caller's timeout."""


async def uptime() -> str:
    """ " 16:10:41 up 21:16,  1 user,  load average: 0.16, 0.17, 0.20".  Raises HypervisorError."""
    output = await run_limited([TOOL], limit_s=LIMIT_S, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})
    return output.decode(errors="replace").rstrip("\n")
