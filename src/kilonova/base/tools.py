# SPDX-License-Identifier: Apache-2.0
"""Running a tool of the machine: without a shell, within limits, and never left behind."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

from kilonova.base.errors import HypervisorError

CPU_S = 30
MEMORY_BYTES = 1 << 30
CANNOT_RUN = (126, 127)
"""Exit statuses of prlimit(1) for a tool that is not there, or may not be run."""


async def run_limited(
    argv: Sequence[str],
    *,
    limit_s: float,
    cpu_s: int = CPU_S,
    memory_bytes: int = MEMORY_BYTES,
    env: Mapping[str, str] | None = None,
) -> bytes:
    """The standard output of a tool that may take `limit_s` seconds, `cpu_s` seconds of processor time and so much
    memory.  `env` takes the place of our environment.

    It is dead when this returns, also by cancellation.  Raises HypervisorError.
    """
    limits = ["prlimit", f"--as={memory_bytes}", f"--cpu={cpu_s}", "--core=0", "--"]
    try:
        process = await asyncio.create_subprocess_exec(
            *limits,
            *argv,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as exc:
        raise HypervisorError(f"{limits[0]} cannot be run: {exc.strerror}.") from exc
    try:
        async with asyncio.timeout(limit_s):
            out, err = await process.communicate()
    except TimeoutError:
        raise HypervisorError(f"{argv[0]} did not end within {limit_s:g} s.") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            # After SIGKILL the end comes soon; a cancellation must not leave a zombie.
            await asyncio.shield(process.communicate())
    if process.returncode == 0:
        return out
    words = err.decode(errors="replace").strip().splitlines()
    said = words[-1] if words else f"status {process.returncode}"
    verb = "cannot be run" if process.returncode in CANNOT_RUN else "failed"
    raise HypervisorError(f"{argv[0]} {verb}: {said}")
