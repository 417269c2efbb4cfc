# SPDX-License-Identifier: Apache-2.0
"""A short `make chaos`, as a process: its fleet dies, stands still, is cut off and switched off, an operator forces a
host down, and nothing accepted is lost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab import power
from tests.chaos.schedule import DISABLE, FORCE, FREEZE, KILL, POWER
from tests.crashes.victim import TOP
from tests.live.box import PATIENCE_S

pytestmark = pytest.mark.live

SEED, MINUTES = "1362", "0.35"
SIZES = "--clients 4 --hosts 2 --control 1 --pause 0.4 --fault-pause 1.5"


def test_a_short_run(tmp_path: Path) -> None:
    words = f"--seed {SEED} --minutes {MINUTES} {SIZES} --results {tmp_path}".split()
    argv = [sys.executable, "-m", "tests.chaos", *words]
    done = subprocess.run(argv, cwd=TOP, capture_output=True, text=True, timeout=3 * PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    faults = [json.loads(line) for line in (tmp_path / "faults.jsonl").read_text().splitlines()]
    kinds = {one["kind"] for one in faults}
    assert kinds >= {KILL, FREEZE}
    assert power.missing() or {POWER, DISABLE, FORCE} <= kinds
    requests = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    assert any(one["verb"] == "create" and one["code"] == 202 for one in requests)
    assert f"make chaos MINUTES={MINUTES} SEED={SEED} ARGS=" in done.stdout
