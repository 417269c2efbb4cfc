# SPDX-License-Identifier: Apache-2.0
"""docs/glossary.md binds names: no identifier and no sentence uses a word that it calls retired."""

import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lab.common import TOP

DOCUMENTS = (TOP / "README.md", TOP / "CHANGELOG.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").rglob("*.md")))
GLOSSARY = TOP / "docs/glossary.md"
IN_PROSE = " (in prose)"


@cache
def retired(*, in_prose: bool) -> tuple[str, ...]:
    """The words of the table, `*` included."""
    section = GLOSSARY.read_text().split("## Retired words", 1)[1]
    cells = re.findall(r"(?m)^\| (`[^|]*) \|", section)
    return tuple(word for cell in cells if (IN_PROSE in cell) is in_prose for word in re.findall(r"`([^`]+)`", cell))


def matcher(words: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for all of them."""
    return re.compile("|".join(re.escape(word).replace(r"\*", r"\w*") for word in words))


def identifiers(path: Path) -> Iterator[str]:
    """The names in a file, with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.NAME:
            yield token.string


SOURCES = sorted((TOP / "src/kilonova").rglob("*.py"))


def test_the_table_is_read() -> None:
    assert "Wish*" in retired(in_prose=False)
    assert "whoever" in retired(in_prose=True)


def test_no_identifier_uses_a_retired_word() -> None:
    pattern = matcher(retired(in_prose=False))
    found = {
        (str(path.relative_to(TOP)), name) for path in SOURCES for name in identifiers(path) if pattern.fullmatch(name)
    }
    assert sorted(found) == []


def test_no_sentence_uses_a_retired_word() -> None:
    pattern = re.compile(rf"(?i)\b(?:{matcher(retired(in_prose=True)).pattern})\b")
    found: dict[str, list[str]] = {}
    for path in (*DOCUMENTS, *SOURCES):
        text = re.sub(r"\s*\n\s*(?:#\s)?", " ", path.read_text())
        if path != GLOSSARY and (words := pattern.findall(text)):
            found[str(path.relative_to(TOP))] = words
    assert found == {}
