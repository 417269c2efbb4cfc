# SPDX-License-Identifier: Apache-2.0
"""The failpoints of a host: before and after each leg and each step that a run reaches."""

from collections.abc import Iterator

from kilonova.compute.operation import Operation, nothing
from kilonova.compute.operations import OPERATIONS


def _of(operation: Operation) -> Iterator[str]:
    yield f"leg.{operation.name}"
    steps = [step.name for step in operation.steps]
    checks = ["look"] if operation.look is not nothing else []
    undone = [f"remove-{name}" for name in steps] if operation.clean_up else []
    for step in (*checks, *steps, *undone, "observe"):
        yield f"compute.{operation.name}.{step}"


NAMES = frozenset(
    f"{place}.{moment}" for operation in OPERATIONS.values() for place in _of(operation) for moment in ("begin", "done")
)
"""`look` reads the guest before the steps, `observe` after them.  Only operations that clean up have undone steps."""
