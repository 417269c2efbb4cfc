# SPDX-License-Identifier: Apache-2.0
"""Runs the tests: pytest over tests/, with the counting plugin. Further arguments go to pytest."""

import os
import sys
from collections.abc import Sequence

from lab.common import TOP, VENV


def main(arguments: Sequence[str]) -> int:
    """Becomes pytest: signals, output and exit status are pytest's own."""
    os.chdir(TOP)
    # Servers and tools that tests start are looked for here first.
    os.environ["PATH"] = f"{VENV / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
    argv = [sys.executable, "-m", "pytest", "-p", "lab.counting", *arguments]
    os.execv(argv[0], argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
