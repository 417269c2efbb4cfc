# SPDX-License-Identifier: Apache-2.0
"""One process of the fleet: start, freeze, thaw, kill, stop; always by its process id."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.common import LabError, environment, tail

STOP_S = 40.0


class FleetProcess:
    """A program in a session of its own.  Its output goes into `log`, which grows across restarts.

    All methods block.  stop() and kill() can be called at any time.
    """

    def __init__(
        self, name: str, argv: Sequence[str | Path], log: Path, env: Mapping[str, str | None] | None = None
    ) -> None:
        self.name, self.log = name, log
        self.argv = [str(word) for word in argv]
        self._env = environment({"PYTHONDONTWRITEBYTECODE": None, "PYTHONPATH": None, **(env or {})})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; the process was started."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process exists; a frozen process does."""
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs, or before its start."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it; does not wait until it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                cwd="/",
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], bool], within_s: float, spin: Callable[[], None] = lambda: None) -> None:
        """Wait until `ready` returns true.  Raises LabError, with the last line of the log, when the process ends or
        the time is over."""
        deadline = time.monotonic() + within_s
        while not ready():
            if not self.alive:
                raise LabError(f"{self.name} ended with status {self.status}: {tail(self.log, 1)}")
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} is not ready after {within_s:g} s: {tail(self.log, 1)}")
            spin()
            time.sleep(0.05)

    def has_printed(self, text: str, since: int = 0) -> bool:
        """Whether the log has the text, from the position `since` on."""
        try:
            with self.log.open("rb") as file:
                _ = file.seek(since)
                return text.encode() in file.read()
        except OSError:
            return False

    def log_size(self) -> int:
        """The current end of the log, for `has_printed`."""
        return self.log.stat().st_size if self.log.exists() else 0

    def freeze(self) -> None:
        """SIGSTOP: it keeps its sockets and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process continue."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self._process is not None and self.alive:
            self._process.kill()
            _ = self._process.wait(timeout=10)

    def stop(self, within_s: float = STOP_S) -> int | None:
        """SIGTERM, and SIGKILL after `within_s` seconds.  The exit status; None if it had to be killed, or never
        started."""
        if self._process is None:
            return None
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)
            try:
                _ = self._process.wait(timeout=within_s)
            except subprocess.TimeoutExpired:
                self.kill()
                return None
        return self._process.returncode
