# SPDX-License-Identifier: Apache-2.0
"""Runs a tool of the machine, or a module of ours, as a process: without a shell, within limits, and without leaving a
process behind."""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kilonova.base.errors import HypervisorError

CPU_S = 30
MEMORY_BYTES = 2 << 30
"""The limit of address space.  A tool with many threads uses an arena and a stack for each.  Their number depends on
the speed of the disk, so neither may be large (see STACK_BYTES, _environment)."""
STACK_BYTES = 2 << 20
CANNOT_RUN = (126, 127)
"""Exit statuses of prlimit(1) and of confine for a tool that does not exist or is not executable."""
_CONFINE = Path(__file__).with_name("confine.py")


@dataclass(frozen=True, slots=True)
class Files:
    """The files that a tool may open besides programs and libraries of the system.  Its output files must exist."""

    reads: Sequence[str] = ()
    writes: Sequence[str] = ()

    def launcher(self) -> list[str]:
        """The command that runs the tool with these files only, and without our privileges (see confine)."""
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
    """Run a tool and return its standard output.  Limits: `limit_s` seconds, `cpu_s` seconds of processor time, and
    memory.  From our environment it receives the search path only, or `env`.  With `files` it can open only those.

    The tool has ended when this returns, also after a cancellation.  Raises HypervisorError.
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
    return await _output_of(process, argv[0], limit_s)


async def run_module(module: str, data: bytes, *, limit_s: float) -> bytes:
    """Run a module of ours as a process of its own, with `data` as its standard input, and return its standard output.
    What hangs there hangs nothing here.  It has our environment.

    The process has ended when this returns, also after a cancellation.  Raises HypervisorError.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", module),  # -P: no module of the working directory
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as exc:
        raise HypervisorError(f"{sys.executable} cannot be run: {exc.strerror}.") from exc
    return await _output_of(process, module, limit_s, data)


async def _output_of(process: Process, name: str, limit_s: float, data: bytes | None = None) -> bytes:
    try:
        async with asyncio.timeout(limit_s):
            out, err = await process.communicate(data)
    except TimeoutError:
        raise HypervisorError(f"{name} did not end within {limit_s:g} s.") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            # After SIGKILL the process ends soon; a cancellation must not leave a zombie.
            await asyncio.shield(process.communicate())
    if process.returncode == 0:
        return out
    words = err.decode(errors="replace").strip().splitlines()
    message = words[-1] if words else f"status {process.returncode}"
    verb = "cannot be run" if process.returncode in CANNOT_RUN else "failed"
    raise HypervisorError(f"{name} {verb}: {message}")


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "MALLOC_ARENA_MAX": "1"}
