# SPDX-License-Identifier: Apache-2.0
"""Every mutant can be made: what it takes away is there, once, and so is its test."""

import pytest

from lab.common import TOP
from lab.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_anchors_and_its_test_are_there(mutant: Mutant) -> None:
    for edit in mutant.edits:
        assert (TOP / "src/kilonova" / edit.file).read_text().count(edit.anchor) == 1, edit
    path, _, name = mutant.test.partition("::")
    assert f"def {name}" in (TOP / path).read_text()
