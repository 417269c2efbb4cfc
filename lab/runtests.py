# SPDX-License-Identifier: Apache-2.0
"""Runs the tests: pytest over tests/, with the counting plugin. Further arguments go to pytest.

All of them run in several processes, a file at a time in one: most of a live test's time is waiting for guests. With
arguments there is one process, so that a debugger and -x do what one expects; `-n` is pytest-xdist's. Temporary
directories are in memory where the machine has such a place: most tests write to a database and sync each write.
"""

import os
import sys
from collections.abc import Sequence

from lab.common import TOP, VENV, memory_directory


def processes() -> int:
    """Three per processor: most of a live test's time is waiting for a guest, and others compute meanwhile."""
    return 3 * len(os.sched_getaffinity(0))


def main(arguments: Sequence[str]) -> int:
    """Becomes pytest: signals, output and exit status are pytest's own."""
    os.chdir(TOP)
    # Servers and tools that tests start are looked for here first.
    os.environ["PATH"] = f"{VENV / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
    # pytest makes tmp_path below this directory.
    memory = memory_directory()
    if memory is not None:
        _ = os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))
    whole = ("-n", str(processes()), "--dist", "loadfile", "--no-loadscope-reorder")
    argv = [sys.executable, "-m", "pytest", "-p", "lab.counting", *(arguments or whole)]
    os.execv(argv[0], argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
