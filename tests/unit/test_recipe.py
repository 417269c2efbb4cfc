# SPDX-License-Identifier: Apache-2.0
"""docs/architecture.md says which files a verb touches.  Here they are looked up."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
SRC = TOP / "src/kilonova"
FAMILIES = ("kilonova.conductor.verbs", "kilonova.compute.operations", "kilonova.api.compute.servers.actions")
"""Packages with a module for each family of verbs."""
NOT_A_VERB = ("virt", "db/migrations")
"""The driver port has words of its own, and migrations are history."""


def names_verb(file: Path, members: set[str], keys: set[str], module: str) -> bool:
    """Whether a file names a verb: the member of Verb, the key of its action, or a module of its own."""
    return any(_names(node, members, keys, module) for node in ast.walk(ast.parse(file.read_text())))


def _names(node: ast.AST, members: set[str], keys: set[str], module: str) -> bool:
    match node:
        case ast.Attribute(value=ast.Name("Verb"), attr=attr):
            return attr in members
        case ast.Constant(value=str(text)):
            return text in keys
        case ast.ImportFrom(module=str(name)):
            parts = {f"{family}.{module}" for family in FAMILIES}
            return name in parts or (name in FAMILIES and module in {alias.name for alias in node.names})
        case ast.ClassDef(name="Verb"):
            targets = {
                one.id for line in node.body for one in getattr(line, "targets", ()) if isinstance(one, ast.Name)
            }
            return bool(members & targets)
        case _:
            return False


def listed(heading: str) -> Iterator[str]:
    """The files of a table of the document."""
    text = (TOP / "docs/architecture.md").read_text()
    section = re.split(r"\n#+ ", text.split(f"### {heading}\n", 1)[1], maxsplit=1)[0]
    for line in section.splitlines():
        if found := re.match(r"\| `([\w/]+\.py)` \|", line):
            yield found[1]


@pytest.mark.parametrize(
    ("heading", "members", "keys", "module", "most"),
    [
        ("A power verb: `pause`", {"PAUSE"}, {"pause"}, "pause", 6),
        (
            "A rich verb: `resize`",
            {"RESIZE", "CONFIRM_RESIZE", "REVERT_RESIZE"},
            {"resize", "confirmResize", "revertResize"},
            "resize",
            12,
        ),
    ],
)
def test_a_verb_touches_the_files_that_the_document_lists(
    heading: str, members: set[str], keys: set[str], module: str, most: int
) -> None:
    files = (file for file in SRC.rglob("*.py") if not str(file.relative_to(SRC)).startswith(NOT_A_VERB))
    found = sorted(str(file.relative_to(SRC)) for file in files if names_verb(file, members, keys, module))
    assert found == sorted(listed(heading))
    assert len(found) <= most


@pytest.mark.parametrize("room", ["engine", "placement", "hosts"])
def test_no_verb_is_named_in_the_engine_nor_beside_it(room: str) -> None:
    """But by their own files, and by those that watch over one (conductor/watch)."""
    tree = SRC / "conductor" / room
    named = re.compile(r"\bVerb\.[A-Z_]+\b")
    assert {file.name for file in tree.rglob("*.py") if named.search(file.read_text())} == set()
