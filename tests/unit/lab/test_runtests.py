# SPDX-License-Identifier: Apache-2.0
"""A test that fails beside others and passes alone is named, and is no failure; everything else is one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.common import TOP

CROWDED = """
import os
def test_crowded(): assert "PYTEST_XDIST_WORKER" not in os.environ, "no time"
"""
WRONG = """
def test_wrong(): assert False
"""
CANNOT = """
from lab.counting import cannot_run
def test_cannot(): cannot_run("no hypervisor")
"""
AGAIN = "Once more, alone"


@pytest.mark.parametrize(
    ("texts", "status", "again", "unsteady"),
    [
        ((CROWDED, WRONG), 1, True, False),
        ((CROWDED,) * 3, 0, True, True),
        ((CROWDED,) * 4, 1, False, False),
        ((CROWDED, CANNOT), 1, False, False),
    ],
)
def test_a_second_run_judges_few_failures(
    tmp_path: Path, texts: tuple[str, ...], status: int, again: bool, unsteady: bool
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:schemathesis -p no:hypothesispytest\n")
    for number, text in enumerate(texts):
        (tmp_path / f"test_{number}.py").write_text(text)
    words = [sys.executable, "-c", "import sys; from lab.runtests import run_whole; sys.exit(run_whole(workers=1))"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    env |= {"CI": "true", "PYTHONPATH": str(TOP)}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    said = (done.returncode, AGAIN in done.stdout, "UNSTEADY" in done.stdout)
    assert said == (status, again, unsteady), done.stdout
