# SPDX-License-Identifier: Apache-2.0
"""CPU time and memory of process trees, from /proc."""

import os
import subprocess
from pathlib import Path
from typing import Any

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PARENT, _UTIME, _CSTIME = 1, 11, 14


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat behind the program's name; None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def tree(root: int) -> list[int]:
    """A process and all that descend from it, itself first."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat(int(name))) is not None:
            children.setdefault(int(fields[_PARENT]), []).append(int(name))
    found = [root]
    for pid in found:  # grows while it is walked
        found += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """CPU-seconds (user and system) that a process tree has spent, those of ended children included."""
    total = 0
    for pid in tree(root):
        fields = _stat(pid)
        if fields is not None:
            total += sum(map(int, fields[_UTIME : _CSTIME + 1]))
    return total / TICKS_PER_S


def pss_mib(root: int) -> float:
    """Memory of a process tree in MiB, pages that several share counted in parts (PSS)."""
    total = 0
    for pid in tree(root):
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024


def count(root: int) -> int:
    """How many processes a tree has."""
    return len([pid for pid in tree(root) if _stat(pid) is not None])


def end(process: "subprocess.Popen[Any]", grace_s: float) -> int | None:
    """End a child of ours by SIGTERM; its exit status, None when it took longer and was killed."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
            return None
    return process.returncode
