# SPDX-License-Identifier: Apache-2.0
"""Since when this machine runs, and its load, in the words of its own `uptime`: clients take that line apart."""

import asyncio
import contextlib

from kilonova.base.errors import HypervisorError

TOOL = "uptime"
LIMIT_S = 4.0
"""Less than whoever asks waits."""


async def uptime() -> str:
    """ " 16:10:41 up 21:16,  1 user,  load average: 0.16, 0.17, 0.20".  Raises HypervisorError."""
    try:
        process = await asyncio.create_subprocess_exec(
            TOOL,
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as exc:
        raise HypervisorError(f"uptime cannot be run: {exc.strerror}.") from exc
    try:
        async with asyncio.timeout(LIMIT_S):
            said, _ = await process.communicate()
    except TimeoutError:
        raise HypervisorError(f"uptime did not end within {LIMIT_S:g} s.") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())
    if process.returncode != 0:
        raise HypervisorError(f"uptime failed with status {process.returncode}.")
    return said.decode(errors="replace").rstrip("\n")
