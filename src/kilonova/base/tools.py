# SPDX-License-Identifier: Apache-2.0
"""Running a tool of the machine: without a shell, within limits, and never left behind."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kilonova.base.errors import HypervisorError

CPU_S = 30
MEMORY_BYTES = 2 << 30
"""Of addresses.  A tool with many threads takes an arena and a stack for each: how many there are depends on how slow
the disk is, so neither may be large (see STACK_BYTES, _environment)."""
STACK_BYTES = 2 << 20
CANNOT_RUN = (126, 127)
"""Exit statuses of prlimit(1) and of confine for a tool that is not there, or may not be run."""
_CONFINE = Path(__file__).with_name("confine.py")


@dataclass(frozen=True, slots=True)
class Files:
    """All that a tool may open besides the system's programs and libraries.  What it writes is there before."""

    reads: Sequence[str] = ()
    writes: Sequence[str] = ()

    def launcher(self) -> list[str]:
        """What runs the tool with these alone, and with no right that we have (see confine)."""
        words = [word for path in self.reads for word in ("--read", path)]
        words += [word for path in self.writes for word in ("--write", path)]
        return [sys.executable, "-I", "-S", str(_CONFINE), *words, "--"]


async def run_limited(
    argv: Sequence[str],
    *,
    limit_s: float,
    cpu_s: int = CPU_S,
    memory_bytes: int = MEMORY_BYTES,
    env: Mapping[str, str] | None = None,
    files: Files | None = None,
) -> bytes:
    """The standard output of a tool that may take `limit_s` seconds, `cpu_s` seconds of processor time and so much
    memory.  It has none of our environment but the search path, or `env`.  With `files` it may open those alone.

    It is dead when this returns, also by cancellation.  Raises HypervisorError.
    """
    limits = ["prlimit", f"--as={memory_bytes}", f"--stack={STACK_BYTES}", f"--cpu={cpu_s}", "--core=0", "--"]
    launcher = [] if files is None else files.launcher()
    try:
        process = await asyncio.create_subprocess_exec(
            *limits,
            *launcher,
            *argv,
            env=_environment() if env is None else env,
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


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "MALLOC_ARENA_MAX": "1"}
