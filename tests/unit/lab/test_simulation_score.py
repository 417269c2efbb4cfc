# SPDX-License-Identifier: Apache-2.0
"""A defect counts as caught only if a seed failed: not if the simulation broke off, hung, or passed."""

import sys
from pathlib import Path

import pytest

from lab.mutant import Defect, Edit
from lab.simulation_score import Copy, Ending, Verdict, simulate, summary


@pytest.mark.parametrize(
    ("program", "ending", "seeds"),
    [
        ("print('Broken: 0 seeds')", Ending.SURVIVED, 9),
        ("print('Seed 4 is broken: twice'); raise SystemExit(1)", Ending.CAUGHT, 4),
        ("raise SystemExit(1)", Ending.BROKEN, 0),
        ("print('Seed 4 is broken: twice'); raise SystemExit(3)", Ending.BROKEN, 0),
        ("import time; time.sleep(600)", Ending.UNKNOWN, 0),
    ],
)
async def test_how_the_seeds_on_a_defect_ended(tmp_path: Path, program: str, ending: Ending, seeds: int) -> None:
    limit_s = 0.2 if ending is Ending.UNKNOWN else 60.0
    verdict = await simulate([sys.executable, "-c", program], tmp_path, 9, limit_s)
    assert (verdict.ending, verdict.seeds) == (ending, seeds)


def test_a_planted_defect_is_gone_after_its_turn(tmp_path: Path) -> None:
    (tmp_path / "kilonova/conductor").mkdir(parents=True)
    defect = Defect("one", "", (Edit("conductor/attempts.py", "def check_known", "def unknown"),))
    copy, file = Copy(tmp_path), tmp_path / "kilonova/conductor/attempts.py"
    copy.mend(defect)
    clean, compiled_for = file.read_text(), file.stat().st_mtime
    copy.plant(defect)
    assert file.read_text() != clean
    copy.mend(defect)
    assert (file.read_text(), file.stat().st_mtime) == (clean, compiled_for)


def test_the_median_counts_what_was_not_caught() -> None:
    caught = [Verdict(str(seed), Ending.CAUGHT, seed, 1.0, "") for seed in (1, 3)]
    others = [Verdict("deaf", Ending.SURVIVED, 9, 1.0, ""), Verdict("slow", Ending.UNKNOWN, 0, 1.0, "")]
    assert list(summary([*caught, *others], 9)) == [
        "2 of 4 defects were caught (50 %).",
        "Seeds to the catch: median more than 9 of all defects.",
        "survived: deaf",
        "time over: slow",
    ]
    assert list(summary(caught, 9))[1] == "Seeds to the catch: median 3 of all defects."
