# SPDX-License-Identifier: Apache-2.0
"""What a mutant is: a small edit of the source that must not stay unnoticed.

A `Mutant` takes a mechanism away, and names the test that must turn red.  A `Defect` is a mistake that an engineer
could make; the simulation must notice it, and nothing names the check that does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


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


@dataclass(frozen=True, slots=True)
class Defect:
    """`harm`: what a user or an operator sees go wrong."""

    name: str
    harm: str
    edits: tuple[Edit, ...]


class AnchorLost(Exception):
    """The source does not have the place that an edit changes."""


def one(name: str, test: str, file: str, anchor: str, instead: str) -> Mutant:
    """A mutant of one edit."""
    return Mutant(name, test, (Edit(file, anchor, instead),))


def defect(name: str, harm: str, file: str, anchor: str, instead: str) -> Defect:
    """A defect of one edit."""
    return Defect(name, harm, (Edit(file, anchor, instead),))


def changed(edits: Sequence[Edit], source: Path) -> dict[str, str]:
    """The changed files below `source`, a copy of src/kilonova: the new text by the path.  Raises AnchorLost."""
    texts: dict[str, str] = {}
    for edit in edits:
        path = source / edit.file
        text = texts.get(edit.file) or (path.read_text() if path.exists() else "")
        if text.count(edit.anchor) != 1:
            raise AnchorLost(f"{edit.file} has its anchor {text.count(edit.anchor)} times")
        texts[edit.file] = text.replace(edit.anchor, edit.instead)
    return texts
