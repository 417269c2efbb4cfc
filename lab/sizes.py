# SPDX-License-Identifier: Apache-2.0
"""Limits for the sizes of files, classes, functions and parameter lists.

A file beyond its limit of intent is a warning; everything beyond a hard limit fails the check.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from lab.common import TOP

FILE_WARNING, FILE_LIMIT = 400, 600
CLASS_LIMIT, FUNCTION_LIMIT = 300, 60
"""In lines; a function's docstring does not count."""
PARAMETER_LIMIT = 6
"""Without `self` and `cls`."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def findings(path: Path) -> Iterator[tuple[bool, str]]:
    """For each thing beyond a limit: whether it is an error, and the line to print."""
    text = path.read_text()
    where = path.relative_to(TOP) if path.is_relative_to(TOP) else path
    lines = text.count("\n")
    if lines > FILE_WARNING:
        yield lines > FILE_LIMIT, f"{where}:1: {lines} lines in one file (aim at {FILE_WARNING}, at most {FILE_LIMIT})"
    if "migrations/versions" in str(where):
        return  # one schema change creates its tables one after another: a long function is not harder to read there
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            yield from _class(node, where)
        elif isinstance(node, Function):
            yield from _function(node, where)


def _class(node: ast.ClassDef, where: Path) -> Iterator[tuple[bool, str]]:
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    if length > CLASS_LIMIT:
        yield True, f"{where}:{node.lineno}: class {node.name} has {length} lines (at most {CLASS_LIMIT})"


def _function(node: Function, where: Path) -> Iterator[tuple[bool, str]]:
    length = _length(node)
    if length > FUNCTION_LIMIT:
        yield True, f"{where}:{node.lineno}: {node.name} has {length} lines (at most {FUNCTION_LIMIT})"
    count = _parameters(node)
    if count > PARAMETER_LIMIT and "/cmd/" not in str(where):  # there each parameter is an option for users
        yield True, f"{where}:{node.lineno}: {node.name} has {count} parameters (at most {PARAMETER_LIMIT})"


def _length(node: Function) -> int:
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - docstring


def _parameters(node: Function) -> int:
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return len([one for one in named if one.arg not in ("self", "cls")])


def main() -> int:
    """Exit status 1 when something is beyond a hard limit."""
    bad = False
    for path in sorted((TOP / "src").rglob("*.py")):
        for is_error, line in findings(path):
            bad = bad or is_error
            print(f"{'error' if is_error else 'warning'}: {line}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
