# SPDX-License-Identifier: Apache-2.0
"""All checks of `make check`, each with its time; every one is run, whatever the others say."""

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from lab.common import TOP, VENV, LabError, environment
from lab.progress import Terminal
from lab.vendor import type_checker


def checks() -> list[tuple[str, list[str]]]:
    """Title and command of each check."""
    bin_ = VENV / "bin"
    python = str(bin_ / "python")
    found = [
        ("ruff", [str(bin_ / "ruff"), "check", "."]),
        ("formatting", [str(bin_ / "ruff"), "format", "--check", "."]),
        ("types", [str(bin_ / "basedpyright")]),
        ("architecture", [str(bin_ / "lint-imports")]),
        ("sizes", [python, "-m", "lab.sizes"]),
        ("types of the page", [str(type_checker()), "--project", "lab/tsconfig.json"]),
        ("rules of the page", [python, "-m", "lab.page_rules"]),
    ]
    if _exists("kilonova.devtools.docs"):
        found.append(("generated documents", [python, "-m", "kilonova.devtools.docs", "--check"]))
    return found


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def run_check(terminal: Terminal, title: str, argv: Sequence[str]) -> bool:
    """Run one check and show what it says when it fails, or when it warns."""
    started = terminal.begin(title)
    # Tools look into PATH for their own helpers.
    env = environment({"PATH": f"{VENV / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}"})
    try:
        done = subprocess.run(
            argv, cwd=TOP, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=600, check=False
        )
    except subprocess.TimeoutExpired:
        terminal.failed(title, started)
        terminal.line(f"{title} was not done within 600 s.")
        return False
    said = (done.stdout + done.stderr).decode(errors="replace").strip()
    if done.returncode == 0:
        terminal.end(title, started)
        if "warning:" in said:
            terminal.line("\n".join(line for line in said.splitlines() if "warning:" in line))
        return True
    terminal.failed(title, started)
    terminal.line(said)
    return False


def main() -> int:
    """Exit status 0 when every check passed."""
    terminal = Terminal(sys.stdout)
    begun = time.monotonic()
    try:
        found = checks()
    except LabError as error:
        print(error.sentence, file=sys.stderr)
        return 1
    failed = [title for title, argv in found if not run_check(terminal, title, argv)]
    took = f"{time.monotonic() - begun:.1f} s"
    terminal.line(f"check: {'failed: ' + ', '.join(failed) if failed else 'all passed'} ({took})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
