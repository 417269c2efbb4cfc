# SPDX-License-Identifier: Apache-2.0
"""What every private libvirt daemon of the laboratory is and can do: start, freeze, thaw, kill, stop.

The system's own daemon is never touched.  Everything a private daemon has lies under one directory, and everything is
ended by process id.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.common import LabError, end_processes, environment, tail


class Daemon(ABC):
    """A libvirtd with a virtlogd beside it, wholly inside `directory`.

    start() raises LabError with one sentence and the end of the daemon's log. stop() can be called at any
    time, more than once, and leaves no process behind. Not safe for use from several threads at once.
    """

    # libvirt and QEMU put sockets below the directory, and the kernel takes 107 characters of a path.
    longest_directory: int = 50

    def __init__(self, directory: Path | str, *, hostname: str | None, host_uuid: str | None, timeout: float) -> None:
        self.directory: Path = Path(directory)
        self.hostname: str | None = hostname
        self.host_uuid: str = host_uuid or str(uuid.uuid4())
        self.start_timeout: float = timeout
        self.log: Path = self.directory / "libvirtd.log"
        self._libvirtd: subprocess.Popen[bytes] | None = None
        self._virtlogd: subprocess.Popen[bytes] | None = None
        if len(str(self.directory)) > self.longest_directory:
            raise LabError(
                f"The directory {self.directory} is too long for sockets: at most {self.longest_directory} characters."
            )

    # -- what it is ------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def socket(self) -> Path:
        """The daemon's read-write socket."""

    @property
    @abstractmethod
    def qemu_uri(self) -> str:
        """Connection URI of the QEMU driver: real guests."""

    @property
    @abstractmethod
    def owner(self) -> tuple[int, int]:
        """User and group id under which QEMU runs: who must be able to read and write the disks."""

    @property
    def uri(self) -> str:
        """The same as `qemu_uri`."""
        return self.qemu_uri

    @property
    def test_uri(self) -> str:
        """Connection URI of libvirt's test driver behind this daemon: no guests, but a real connection."""
        return f"test+unix:///default?socket={self.socket}"

    @property
    def pid(self) -> int | None:
        """Process id of libvirtd, None when it does not run."""
        return self._libvirtd.pid if self._libvirtd is not None and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether the libvirtd process exists (frozen counts as alive)."""
        return self._libvirtd is not None and self._libvirtd.poll() is None

    def guests(self) -> dict[str, int]:
        """Domain name and QEMU's process id of each guest that runs, by QEMU's own pid files."""
        found: dict[str, int] = {}
        running = set(self.processes())
        for file in sorted(self._pid_files()):
            with contextlib.suppress(OSError, ValueError):
                pid = int(file.read_text().strip())
                if pid in running and file.stem != "driver":
                    found[file.stem] = pid
        return found

    @abstractmethod
    def processes(self) -> list[int]:
        """Ids of every process of this daemon that exists now: daemons, helpers and guests."""

    # -- life ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start both daemons and wait, at most `start_timeout` seconds, until libvirtd answers."""
        if self.alive:
            return
        self._prepare()
        try:
            if self._virtlogd is None or self._virtlogd.poll() is not None:
                self._virtlogd = self._spawn("virtlogd")
            # The socket of a killed daemon is still there and would look like an answer.
            self.socket.unlink(missing_ok=True)
            self._libvirtd = self._spawn("libvirtd")
            self._wait_until_it_answers()
        except BaseException:
            _ = self.stop()
            raise

    def freeze(self) -> None:
        """SIGSTOP the daemon: it keeps its socket and answers nothing. Returns once it stands still."""
        self._signal(signal.SIGSTOP)
        deadline = time.monotonic() + 2
        while self.pid is not None and _state_of(self.pid) != "T" and time.monotonic() < deadline:
            time.sleep(0.002)

    def thaw(self) -> None:
        """Let a frozen libvirtd go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill libvirtd (SIGKILL) and wait for it; virtlogd and the guests go on."""
        if self._libvirtd is not None and self.alive:
            self._libvirtd.kill()
            _ = self._libvirtd.wait(timeout=10)

    def restart(self) -> None:
        """End libvirtd (by SIGTERM, when it runs) and start it again on the same socket; guests go on."""
        if self._libvirtd is not None:
            end_child(self._libvirtd, grace=10.0)
        self.start()

    def stop(self) -> list[str]:
        """End everything that belongs to this daemon, and return a line per guest that was still there.

        libvirtd goes first, so that it cannot react to the loss of the guests.
        """
        if self._libvirtd is not None:
            end_child(self._libvirtd, grace=5.0)
        guests = self.guests()
        self._end(guests.values(), 3.0)
        if self._virtlogd is not None:
            end_child(self._virtlogd, grace=3.0)
        # What has no pid file: dnsmasq, a virtlogd of an earlier life.
        self._end(self.processes(), 2.0)
        return [f"guest {name} (process {pid})" for name, pid in guests.items()]

    def remove(self) -> None:
        """Stop, and delete the directory."""
        _ = self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _ = self.stop()

    # -- how -------------------------------------------------------------------------------------------

    @abstractmethod
    def _prepare(self) -> None:
        """Make directories and configuration."""

    @abstractmethod
    def _command(self, name: str, program: str) -> list[str]:
        """How to start the daemon `name`, whose program is `program`. The last word execs into it, no fork."""

    @abstractmethod
    def _pid_files(self) -> Iterable[Path]:
        """The pid files of guests."""

    def _environment(self) -> dict[str, str]:
        return environment(
            {
                "DBUS_SESSION_BUS_ADDRESS": None,
                "LISTEN_FDS": None,
                "LISTEN_PID": None,
                "NOTIFY_SOCKET": None,
                "LIBVIRT_DEFAULT_URI": None,
                # Daemons live in sbin, which an ordinary user's PATH may not have.
                "PATH": os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin",
            }
        )

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        env = self._environment()
        program = shutil.which(name, path=env["PATH"])
        if program is None:
            raise LabError(f"{name} is not installed.", "apt-get install libvirt-daemon-system")
        argv = self._command(name, program)
        with (self.directory / f"{name}.log").open("ab") as log:
            # A session of its own: Ctrl-C at the terminal is for us, the daemon ends when we say so.
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd="/", start_new_session=True
            )

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + self.start_timeout
        while time.monotonic() < deadline:
            if not self.alive:
                raise LabError(f"The private libvirtd ended at once: {self._last_words()}")
            if self.socket.exists() and self._answers(max(0.5, deadline - time.monotonic())):
                return
            time.sleep(0.02)
        raise LabError(f"The private libvirtd did not answer within {self.start_timeout:g} s: {self._last_words()}")

    def _answers(self, seconds: float) -> bool:
        try:
            done = subprocess.run(
                ["virsh", "--quiet", "--connect", self.uri, "uri"],
                capture_output=True,
                timeout=seconds,
                stdin=subprocess.DEVNULL,
                env=self._environment(),
                check=False,
            )
        except FileNotFoundError:
            raise LabError("virsh is not installed.", "apt-get install libvirt-clients") from None
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def _last_words(self) -> str:
        return tail(self.log, 3).replace("\n", " | ") or "its log is empty"

    def _signal(self, number: int) -> None:
        if self._libvirtd is None or not self.alive:
            raise LabError("The private libvirtd does not run.")
        self._libvirtd.send_signal(number)

    def _end(self, pids: Iterable[int], grace: float) -> None:
        # Asked again, with the process held: an id read a moment ago may be somebody else's by now.
        _ = end_processes(pids, ours=lambda pid: pid in self.processes(), grace=grace)


def _state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def end_child(process: subprocess.Popen[bytes], *, grace: float) -> None:
    """End a child of ours: SIGTERM, SIGKILL after `grace` seconds. Frozen ones, too."""
    if process.poll() is not None:
        return
    process.terminate()
    # A frozen process does not take SIGTERM before it is continued.
    process.send_signal(signal.SIGCONT)
    try:
        _ = process.wait(timeout=grace)
    except subprocess.TimeoutExpired:
        process.kill()
        _ = process.wait(timeout=10)
