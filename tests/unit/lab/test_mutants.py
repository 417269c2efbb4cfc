# SPDX-License-Identifier: Apache-2.0
"""Every mutant can be made: what it takes away is there, once, and so is its test."""

import pytest

from lab.common import TOP
from lab.mutant import Defect, changed
from lab.mutants import MUTANTS, Mutant
from lab.mutants_of_simulation import DEFECTS

SOURCE = TOP / "src/kilonova"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_anchors_and_its_test_are_there(mutant: Mutant) -> None:
    changed(mutant.edits, SOURCE)
    path, _, name = mutant.test.partition("::")
    assert f"def {name}" in (TOP / path).read_text()


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_can_be_planted_and_is_python(defect: Defect) -> None:
    for file, text in changed(defect.edits, SOURCE).items():
        compile(text, file, "exec")


def test_each_defect_is_there_once() -> None:
    assert len({one.name for one in DEFECTS}) == len({one.edits for one in DEFECTS}) == len(DEFECTS)
