# SPDX-License-Identifier: Apache-2.0
"""No tool works on guests' files without being told which: a new one must not forget it."""

import ast
from pathlib import Path

from kilonova.virt import libvirt as room


def calls(tree: ast.AST) -> list[ast.Call]:
    """Of run_limited, also by a partial."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [[*filter(None, [_name(call.func)]), *(_name(word) for word in call.args[:1])] for call in found]
    return [call for call, named in zip(found, names, strict=True) if "run_limited" in named]


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def test_each_tool_of_the_libvirt_driver_is_told_its_files() -> None:
    seen = 0
    for path in sorted(Path(room.__path__[0]).rglob("*.py")):
        for call in calls(ast.parse(path.read_text())):
            seen += 1
            assert "files" in {word.arg for word in call.keywords}, f"{path.name}:{call.lineno}"
    assert seen >= 5
