# SPDX-License-Identifier: Apache-2.0
"""Findings of the doctor, as a machine reports them about itself."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class ReportedFinding:
    """The result of one check.  `level` is ok, note, warning or error; a later version may have others.  `found` is one
    sentence.  `cure` is a command or a sentence, empty when nothing is necessary."""

    check: str
    level: str
    found: str
    cure: str = ""


Examine = Callable[[], Awaitable[tuple[ReportedFinding, ...]]]
"""Runs the doctor's checks on this machine.  Ends within a time limit.  Raises HypervisorError when the checks cannot
run."""


@cache
def _form() -> TypeAdapter[tuple[ReportedFinding, ...]]:
    return TypeAdapter(tuple[ReportedFinding, ...])


def read_findings(output: bytes) -> tuple[ReportedFinding, ...]:
    """The findings in the JSON of `kilonova doctor`; its facts are left out.  Raises ValueError."""
    return _form().validate_json(output)
