# SPDX-License-Identifier: Apache-2.0
"""What a person sees while commands run: one line per step, a spinner on a terminal, all output in a log."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from lab.common import LabError, tail

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Terminal:
    """Plain ANSI on a terminal, plain lines anywhere else."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream: TextIO = stream or sys.stdout
        self.fancy: bool = self.stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        unicode = (self.stream.encoding or "").lower().replace("-", "") == "utf8"
        self._spinner: str = SPINNER if unicode else "|/-\\"
        self.tick: str = "✓" if unicode else "ok"
        self.cross: str = "✗" if unicode else "!!"
        self._open: bool = False
        self._shown: int = 0

    def style(self, code: str, text: str) -> str:
        """`text` in an ANSI style such as "1" (bold) or "32" (green), where that can be shown."""
        return f"\033[{code}m{text}\033[0m" if self.fancy else text

    def line(self, text: str = "") -> None:
        """Write a whole line."""
        self.clear()
        _ = self.stream.write(text + "\n")
        self.stream.flush()

    def spin(self, title: str, started: float) -> None:
        """Redraw the line of a step that began at `started` (time.monotonic)."""
        if not self.fancy:
            return
        self._shown += 1
        mark = self._spinner[self._shown % len(self._spinner)]
        elapsed = self.style("2", f"{time.monotonic() - started:.0f} s")
        _ = self.stream.write(f"\r\033[K  {self.style('36', mark)} {title}  {elapsed}")
        self.stream.flush()
        self._open = True

    def clear(self) -> None:
        """Take a spinner off the line."""
        if self._open:
            _ = self.stream.write("\r\033[K")
            self._open = False

    def begin(self, title: str) -> float:
        """A step begins; returns its start (time.monotonic)."""
        started = time.monotonic()
        if self.fancy:
            self.spin(title, started)
        else:
            self.line(f"  .. {title}")
        return started

    def end(self, title: str, started: float, remark: str = "") -> None:
        """A step is done."""
        took = self.style("2", f"{time.monotonic() - started:6.1f} s")
        self.line(f"  {self.style('32', self.tick)} {title:<44} {took}" + (f"  {remark}" if remark else ""))

    def failed(self, title: str, started: float) -> None:
        """A step has failed."""
        took = self.style("2", f"{time.monotonic() - started:6.1f} s")
        self.line(f"  {self.style('31', self.cross)} {title:<44} {took}")


class Phases:
    """A run whose steps are shown, one after the other, with their times."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal: Terminal = terminal

    @contextlib.contextmanager
    def _phase(self, title: str) -> Generator[list[str]]:
        """A step with its time; remarks put into the list are shown behind it."""
        started = self.terminal.begin(title)
        self._title, self._started = title, started
        remarks: list[str] = []
        try:
            yield remarks
        except BaseException:
            self.terminal.failed(title, started)
            raise
        self.terminal.end(title, started, ", ".join(remarks))

    def _spin(self) -> None:
        self.terminal.spin(self._title, self._started)


def run_logged(
    terminal: Terminal,
    title: str,
    argv: Sequence[str | Path],
    *,
    log: Path,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    started: float | None = None,
) -> None:
    """Run a command with all its output in `log`, and the spinner turning under `title`.

    Raises LabError when it fails or is not done within `timeout` seconds. Neither then nor on Ctrl-C is the
    command, or what it started in its process group, left behind.
    """
    words = [str(word) for word in argv]
    began = time.monotonic()
    shown_from = began if started is None else started
    with log.open("ab") as output:
        output.write(f"\n$ {' '.join(words)}\n".encode())
        output.flush()
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, cwd=cwd, process_group=0
            )
        except FileNotFoundError:
            raise LabError(f"The program {words[0]} is not installed.") from None
        try:
            while (status := _poll(process, 0.1)) is None:
                terminal.spin(title, shown_from)
                if time.monotonic() - began > timeout:
                    raise LabError(f"{title}: not done within {timeout:g} s.")
        finally:
            _end_group(process)
    if status != 0:
        raise LabError(f"{title}: {Path(words[0]).name} failed with status {status}: {tail(log, 1).strip()}")


def last_lines(log: Path, lines: int = 8) -> str:
    """The end of a log, indented for showing."""
    return "\n".join(f"    | {line}" for line in tail(log, lines).splitlines())


def _poll(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for number, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        _ = _poll(process, seconds)
