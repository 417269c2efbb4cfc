# SPDX-License-Identifier: Apache-2.0
"""What a mutant is: a mechanism taken away, and the test that must turn red."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """In `file` below src/kilonova, the one place that reads `anchor` reads `instead`."""

    file: str
    anchor: str
    instead: str


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    test: str
    edits: tuple[Edit, ...]


def one(name: str, test: str, file: str, anchor: str, instead: str) -> Mutant:
    """A mutant of one edit."""
    return Mutant(name, test, (Edit(file, anchor, instead),))
