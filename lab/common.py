# SPDX-License-Identifier: Apache-2.0
"""Small things shared by the modules of the lab: errors, paths, subprocesses, ending processes by id."""

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BUILD = TOP / ".build"
VENV = BUILD / "venv"
CLIENT = BUILD / "client"
COMPARED = BUILD / "compared"
TEMPEST = BUILD / "tempest"
GUEST = BUILD / "guest"


class LabError(Exception):
    """One sentence for the person at the terminal, and the command that cures it when there is one."""

    def __init__(self, sentence: str, cure: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence: str = sentence
        self.cure: str | None = cure


def memory_directory() -> Path | None:
    """A directory in memory with room for small files; None where there is none."""
    path = Path("/dev/shm")
    try:
        there = os.access(path, os.W_OK | os.X_OK) and shutil.disk_usage(path).free > 1 << 30
    except OSError:
        there = False
    return path if there else None


def environment(changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The environment for a child: ours, with `changes` (None takes a variable away)."""
    result = dict(os.environ)
    for name, value in (changes or {}).items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = value
    return result


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes = b"",
) -> bytes:
    """Run a command and return what it wrote on stdout.

    `timeout` is in seconds. Raises LabError, with the end of what the command said, when it fails, is not
    there or takes longer; the command is dead by then.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(words, input=stdin, capture_output=True, timeout=timeout, env=env, cwd=cwd, check=False)
    except FileNotFoundError:
        raise LabError(f"The program {words[0]} is not installed.") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{words[0]} did not finish within {timeout:g} s.") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        last = said.splitlines()[-1] if said else "it said nothing"
        raise LabError(f"{words[0]} failed with status {done.returncode}: {last}")
    return done.stdout


def command_line(pid: int) -> list[str]:
    """The words a process was started with; empty when there is no such process (or it is a zombie)."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return raw.decode(errors="surrogateescape").split("\0")[:-1]


def processes_naming(text: str) -> list[int]:
    """Process ids, ours excluded, with `text` anywhere in their command line."""
    found: list[int] = []
    for entry in os.listdir("/proc"):
        pid = int(entry) if entry.isdigit() else os.getpid()
        if pid != os.getpid() and any(text in word for word in command_line(pid)):
            found.append(pid)
    return sorted(found)


def mount_namespace(pid: int | str) -> tuple[int, int] | None:
    """What identifies the mount namespace of a process; None when it is gone or not ours to ask."""
    try:
        status = os.stat(f"/proc/{pid}/ns/mnt")
    except OSError:
        return None
    return status.st_dev, status.st_ino


def processes_in_mount_namespaces(namespaces: Collection[tuple[int, int]]) -> list[int]:
    """Ids of the processes in any of some mount namespaces, never those in our own."""
    wanted = set(namespaces) - {mount_namespace("self")}
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return sorted(pid for pid in pids if mount_namespace(pid) in wanted)


def end_processes(pids: Iterable[int], *, ours: Callable[[int], bool], grace: float) -> list[int]:
    """End processes that may not be our children: SIGTERM, after `grace` seconds SIGKILL.

    A process is only touched when `ours` says so of its id while the process is held: an id read from a file
    may have been given to somebody else since. Returns the ids that were really signalled, all gone by then.
    """
    held: dict[int, int] = {}
    try:
        for pid in pids:
            try:
                handle = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            held[pid] = handle
        # Looked at after the handle is held, so that the id cannot change hands between look and signal.
        chosen = {pid: handle for pid, handle in held.items() if ours(pid)}
        # A stopped process does not take SIGTERM before it is continued.
        _signal_and_wait(chosen.values(), (signal.SIGTERM, signal.SIGCONT), grace)
        _signal_and_wait(chosen.values(), (signal.SIGKILL,), 5.0)
        return sorted(chosen)
    finally:
        for handle in held.values():
            os.close(handle)


def _signal_and_wait(handles: Iterable[int], signals: Sequence[int], seconds: float) -> None:
    pending = [h for h in handles if not _ended(h, 0.0)]
    for handle in pending:
        for number in signals:
            try:
                signal.pidfd_send_signal(handle, number)
            except ProcessLookupError:
                break
    deadline = time.monotonic() + seconds
    for handle in pending:
        _ended(handle, max(0.0, deadline - time.monotonic()))


def _ended(handle: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


def tail(path: Path, lines: int = 5, limit: int = 8192) -> str:
    """The last lines of a text file; empty when it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def owner_of_lab() -> tuple[int, int, str | None]:
    """User id, group id and name under which unprivileged daemons run.

    Ourselves for an ordinary user. Root gives up root: a daemon of root's would be the system's own.
    """
    import pwd

    if os.geteuid() != 0:
        return os.geteuid(), os.getegid(), None
    for name in ("libvirt-qemu", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid, name
    return 65534, 65534, None
