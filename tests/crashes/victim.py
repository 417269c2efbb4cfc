# SPDX-License-Identifier: Apache-2.0
"""A process of Kilonova that dies at a failpoint, and starts again."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.live.box import wait_for

TOP = Path(__file__).parents[2]


class Programs:
    """Starts processes of one program, from a process that has its modules (see preloaded)."""

    def __init__(self, program: str) -> None:
        argv = [sys.executable, "-m", "tests.crashes.preloaded", program]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TOP)
        self._turn = threading.Lock()

    def start(self, words: Sequence[str], environment: dict[str, str], log: Path) -> int:
        """The id of a new process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._turn:
            self._process.stdin.write(json.dumps([list(words), environment, str(log)]) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def close(self) -> None:
        """End; the processes go on."""
        self._process.kill()
        with self._process:  # (closes its pipes, and waits)
            """It has no more work."""


class Victim:
    """One process.  `is_ready` returns whether it serves."""

    def __init__(self, role: str, programs: Programs, words: Sequence[str], directory: Path, name: str) -> None:
        self.role, self.name, self._programs, self._words = role, name, programs, words
        self.log, self._plan = directory / f"{name}.log", directory / f"{name}.plan"
        self._hits = directory / f"{name}.plan.hits"
        self.is_ready: Callable[[], bool] = lambda: f"kilonova-{role} ready\n" in self._since()
        self._start_of_log = 0
        self.pid = 0
        self.environment = {"KILONOVA_FAILPOINTS": f"@{self._plan}"}

    def start(self) -> None:
        """Begin, without waiting."""
        self.log.touch()
        self._start_of_log = self.log.stat().st_size
        self.pid = self._programs.start(self._words, self.environment, self.log)

    def ready(self) -> None:
        """Until it serves, or has died at an armed failpoint."""
        wait_for(lambda: not self.alive or self.is_ready(), within_s=60, why=self.last_words)

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:]

    def _since(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._start_of_log)
            return log.read().decode(errors="replace")

    @property
    def alive(self) -> bool:
        """Whether it runs, or is stopped."""
        try:
            if self.pid:
                os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return bool(self.pid)

    @property
    def stopped(self) -> bool:
        """Whether it waits for SIGCONT."""
        with contextlib.suppress(OSError, IndexError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    def go_on(self) -> None:
        """End a stop."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        if self.pid and self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            wait_for(lambda: not self.alive, within_s=20)

    def arm(self, plan: str) -> None:
        """Arm these failpoints, and no others."""
        unfinished = self._plan.with_suffix(".new")
        unfinished.write_text(plan)
        unfinished.rename(self._plan)

    def forget_hits(self) -> None:
        """Begin to note anew."""
        self._hits.write_text("")

    def hits(self) -> list[str]:
        """The failpoints that it has reached since then, in the order of the first time."""
        return list(dict.fromkeys(self._hits.read_text().split())) if self._hits.exists() else []
