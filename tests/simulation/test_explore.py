# SPDX-License-Identifier: Apache-2.0
"""A sample of `make simulate` (docs/reliability.md): random plans of requests and faults break no invariant."""

import gc
import os
import subprocess
import sys

import pytest

from tests.simulation.explore.plan import FAULTS_AT_LEAST, plan_of
from tests.simulation.explore.run import run

SEEDS, PART = 84, 6
"""Each test runs a part of the seeds, so that two processes share them."""


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_no_plan_breaks_an_invariant(first: int) -> None:
    for seed in range(first, first + PART):
        result = run(plan_of(seed))
        assert result.broken == (), f"make simulate SEED={seed}"
        assert sum(result.steps.values()) >= 50 + FAULTS_AT_LEAST, seed
    gc.collect()


def test_the_same_seed_is_the_same_history_in_another_process() -> None:
    argv = [sys.executable, "-m", "tests.simulation.explore", "--seed", "3"]
    told = subprocess.run(argv, env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True, text=True, timeout=120)
    assert f"History {run(plan_of(3)).hash}\n" in told.stdout, told.stderr
