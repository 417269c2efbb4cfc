# SPDX-License-Identifier: Apache-2.0
"""The end of a log of `make test` names what failed, whatever the failed tests print."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.common import TOP

TESTS = """
import pytest
from lab.counting import cannot_run

@pytest.fixture
def broken(request):
    if request.param == "setup":
        raise OSError("no disk")
    yield
    if request.param == "teardown":
        raise OSError("still mounted")

@pytest.mark.parametrize("broken", ["setup", "teardown"], indirect=True)
def test_with(broken): pass

def test_wrong():
    print("output " * 1000)
    raise ValueError("first line" + "\\nof a log" * 500)

def test_passes(): pass

def test_skipped(): pytest.skip("not here")

def test_cannot(): cannot_run("no hypervisor")

def test_unknown(missing): pass
"""


@pytest.mark.parametrize("words", [(), ("-n", "1")])
def test_the_last_lines_name_each_failure_and_count(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_unreadable.py").write_text("import nothing_like_it\n")
    argv = [sys.executable, "-m", "pytest", "-p", "lab.counting", "-ra", "-p", "no:cacheprovider", *words]
    argv += ["--continue-on-collection-errors", "--rootdir", str(tmp_path), str(tmp_path)]
    env = {**os.environ, "CI": "true"}
    done = subprocess.run(argv, cwd=TOP, env=env, capture_output=True, text=True, timeout=60, check=False)
    at = "test_some.py::test_"
    assert done.returncode == 1
    could_not, *failed, counts = done.stdout.splitlines()[-7:]
    assert could_not == f"COULD NOT RUN {at}cannot: no hypervisor"
    assert sorted(failed) == [
        f"FAILED {at}unknown (setup): fixture 'missing' not found",
        f"FAILED {at}with[setup] (setup): OSError: no disk",
        f"FAILED {at}with[teardown] (teardown): OSError: still mounted",
        f"FAILED {at}wrong: ValueError: first line",
        "FAILED test_unreadable.py (collection): ModuleNotFoundError: No module named 'nothing_like_it'",
    ]
    assert counts == "run 5, skipped 1, could not run 1 (a failure under CI)"
