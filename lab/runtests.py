# SPDX-License-Identifier: Apache-2.0
"""Runs the tests: pytest over tests/, with the counting plugin. Further arguments go to pytest.

All of them run in several processes, a file at a time in one: most of a live test's time is waiting for guests. With
arguments there is one process, so that a debugger and -x do what one expects; `-n` is pytest-xdist's. Temporary
directories are in memory where the machine has such a place: most tests write to a database and sync each write.

Live tests wait long for a processor when all run together. When tests of at most MOST_FILES files fail, these tests run
once more, alone. What passes then is named UNSTEADY at the end: it is a defect of the test or of the product that
waits to be found, and no failure of the run. What fails again is a failure.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from lab.common import TOP, VENV, memory_directory
from lab.counting import FAILED

MOST_FILES = 3
"""Files, because tests of one file share what one of them may leave broken."""
FAILURE = 1
"""pytest's exit status when tests failed."""


def processes() -> int:
    """Three per processor: most of a live test's time is waiting for a guest, and others compute meanwhile."""
    return 3 * len(os.sched_getaffinity(0))


def pytest_command(*arguments: str) -> list[str]:
    """pytest with the counting plugin."""
    return [sys.executable, "-m", "pytest", "-p", "lab.counting", *arguments]


def main(arguments: Sequence[str]) -> int:
    """With arguments becomes pytest: signals, output and exit status are pytest's own."""
    os.chdir(TOP)
    # Servers and tools that tests start are looked for here first.
    os.environ["PATH"] = f"{VENV / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
    # pytest makes tmp_path below this directory.
    memory = memory_directory()
    if memory is not None:
        _ = os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))
    if arguments:
        os.execv(sys.executable, pytest_command(*arguments))
    return run_whole(workers=processes())


def run_whole(*where: str, workers: int) -> int:
    """All tests (or those in these places) together, then the few that failed once more."""
    whole = ("-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder")
    with tempfile.TemporaryDirectory(prefix="kn-tests-") as directory:
        failed = Path(directory) / "failed"
        status = _run(pytest_command(*whole, *where), {FAILED: str(failed)})
        names = failed.read_text().splitlines() if failed.exists() else []
    files = {name.partition("::")[0] for name in names}
    if status != FAILURE or not 0 < len(files) <= MOST_FILES:
        return status
    print(f"\nOnce more, alone: {len(names)} of the tests failed beside the others.", flush=True)
    status = _run(pytest_command(*names), {})
    for name in names if status == 0 else ():
        print(f"UNSTEADY {name}: failed beside the others (above), passed alone", flush=True)
    return status


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit status.  Signals reach pytest: it ends its tests, and this process waits for it."""
    with subprocess.Popen(command, env={**os.environ, **environment}) as process:

        def forward(number: int, _frame: FrameType | None) -> None:
            if number == signal.SIGTERM:  # the terminal sends SIGINT to both
                process.terminate()

        for number in (signal.SIGINT, signal.SIGTERM):
            _ = signal.signal(number, forward)
        return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
