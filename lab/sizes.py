# SPDX-License-Identifier: Apache-2.0
"""Sizes of files and functions: a long one is said, one that is too long fails the check."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from lab.common import TOP

FILE_WARNING, FILE_ERROR = 400, 600
FUNCTION_WARNING, FUNCTION_ERROR = 60, 100


def findings(path: Path) -> Iterator[tuple[bool, str]]:
    """For each thing that is long: whether it is an error, and the line to print. Docstrings do not count."""
    text = path.read_text()
    where = path.relative_to(TOP)
    lines = text.count("\n")
    if lines > FILE_WARNING:
        yield lines > FILE_ERROR, f"{where}:1: {lines} lines in one file (say {FILE_WARNING}, at most {FILE_ERROR})"
    if "migrations/versions" in str(where):
        # The tables of one schema change, one after the other: longer is not harder there.
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = _length(node)
            if length > FUNCTION_WARNING:
                limits = f"(say {FUNCTION_WARNING}, at most {FUNCTION_ERROR})"
                yield length > FUNCTION_ERROR, f"{where}:{node.lineno}: {node.name} has {length} lines {limits}"


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - docstring


def main() -> int:
    """Exit status 1 when something is too long."""
    bad = False
    for path in sorted((TOP / "src").rglob("*.py")):
        for is_error, line in findings(path):
            bad = bad or is_error
            print(f"{'error' if is_error else 'warning'}: {line}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
