# SPDX-License-Identifier: Apache-2.0
"""The failpoints of a host: before and after each step of each operation, and before and after its undo."""

from kilonova.compute.operations import OPERATIONS

NAMES = frozenset(
    f"compute.{verb}.{undo}{step}.{moment}"
    for verb, operation in OPERATIONS.items()
    for step in (*(step.name for step in operation.steps), "look", "observe")
    for undo in ("", "remove-")
    for moment in ("begin", "done")
)
"""`look` reads the guest before the steps, `observe` after them."""
