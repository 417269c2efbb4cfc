# SPDX-License-Identifier: Apache-2.0
"""File systems that lose their power: what was not synced is lost, as on a machine that is switched off.

An ext4 file system in a file is mounted; its shutdown (the ioctl of xfstests' `godown`) drops all that
was not written to its log yet.  After the next mount the log is replayed.  Only root can do that.
"""

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lab.common import LabError, memory_directory, run

SHUTDOWN = 0x8004587D
"""FS_IOC_SHUTDOWN: _IOR('X', 125, __u32), from the header fs/ext4/ext4.h of Linux."""
NO_LOG_FLUSH = struct.pack("I", 2)
CLONE_NEWNS = 0x00020000
"""From the header linux/sched.h."""
OPTIONS = "loop,commit=300,noauto_da_alloc,noinit_itable"
"""The kernel writes what is not synced as late as it can, also what replaces another file."""
T = TypeVar("T")


class PoweredDisk:
    """A file system at `directory`, of so many MiB, in a file of its own.  Not mounted yet.

    Mount it in a mount namespace of your own (see `apart`): a copy of the mount in another namespace keeps it in use.
    """

    def __init__(self, directory: Path, mib: int) -> None:
        self.directory = directory
        descriptor, name = tempfile.mkstemp(prefix="kn-disk-", dir=memory_directory())
        os.truncate(descriptor, mib << 20)
        os.close(descriptor)
        self._file = Path(name)
        few = ("-J", "size=8", "-N", "16384") if mib > 64 else ()  # (they would take memory)
        _ = run(["mkfs.ext4", "-q", "-F", "-m", "0", *few, name], timeout=60)

    def mount(self) -> None:
        """Mount it, and replay its log.  Raises LabError."""
        self.directory.mkdir(parents=True, exist_ok=True)
        _ = run(["mount", "-o", OPTIONS, str(self._file), str(self.directory)], timeout=30)
        self.directory.chmod(0o711)

    def sync(self) -> None:
        """Put everything on stable storage."""
        _ = run(["sync", "--file-system", str(self.directory)], timeout=30)

    def lose_power(self) -> None:
        """From now on nothing is written.  Before: `stand_still`.  Afterwards end its processes, and `unmount`."""
        handle = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, NO_LOG_FLUSH)
        finally:
            os.close(handle)

    def unmount(self, within_s: float = 10.0) -> None:
        """Unmount it; processes that were killed may still leave it.  Raises LabError."""
        end = time.monotonic() + within_s
        while True:
            try:
                _ = run(["umount", str(self.directory)], timeout=30)
                return
            except LabError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def remove(self) -> None:
        """Unmount it, whoever uses it, and delete its file.  Can be called at any time."""
        if os.path.ismount(self.directory):
            _ = subprocess.run(["umount", "--lazy", str(self.directory)], check=False, timeout=30)
        self._file.unlink(missing_ok=True)


def stand_still(pids: Iterable[int], within_s: float = 5.0) -> None:
    """Stop processes before their disk loses its power: a sync that ends meanwhile can seem to have succeeded, which no
    process of a real machine sees.  Returns when no thread executes its program any more.  Raises LabError."""
    stopped = list(pids)
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + within_s
    while any(map(_executes, stopped)):
        if time.monotonic() > end:
            raise LabError(f"Processes {stopped} do not stop.")
        time.sleep(0.002)


def _executes(pid: int) -> bool:
    """Whether a thread is neither stopped nor inside a call that no signal interrupts."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[0] not in "TtDZX":
                return True
    return False


def apart(work: Callable[[], T]) -> T:
    """Call `work` in a thread with a mount namespace of its own, which its processes and threads share."""

    def begin() -> T:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
            raise LabError(f"A mount namespace cannot be had: {os.strerror(ctypes.get_errno())}.")
        _ = run(["mount", "--make-rprivate", "/"], timeout=30)
        return work()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(begin).result()


def missing() -> str:
    """Why disks cannot lose their power on this machine; empty where they can."""
    if os.geteuid() != 0:
        return "only root can mount a file system"
    if shutil.which("mkfs.ext4") is None:
        return "mkfs.ext4 is not installed"
    try:
        return apart(_try)
    except (LabError, OSError) as error:
        return str(error)


def _try() -> str:
    with tempfile.TemporaryDirectory(prefix="kn-power-") as directory:
        disk = PoweredDisk(Path(directory) / "disk", 8)
        try:
            disk.mount()
            (disk.directory / "file").write_text("not synced")
            disk.lose_power()
            disk.unmount()
            disk.mount()
            return "the file system kept what was not synced" if (disk.directory / "file").exists() else ""
        finally:
            disk.remove()
