# SPDX-License-Identifier: Apache-2.0
"""What a check has found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How bad it is.  An error keeps guests from being made or what was accepted from being kept; a warning will hurt
    some day; a note is good to know."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"

    @property
    def weight(self) -> int:
        """For sorting: the worse, the higher."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer.

    `found` is one sentence; `cure` is a command or a sentence, empty where there is nothing to do.  `facts` are
    JSON-safe and hold no secrets.
    """

    check: str
    level: Level
    found: str
    cure: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


def ok(check: str, found: str, **facts: Any) -> Finding:
    """Nothing to do."""
    return Finding(check, Level.OK, found, facts=facts)


def note(check: str, found: str, cure: str = "", **facts: Any) -> Finding:
    """Good to know."""
    return Finding(check, Level.NOTE, found, cure, facts)


def warning(check: str, found: str, cure: str, **facts: Any) -> Finding:
    """It will hurt some day."""
    return Finding(check, Level.WARNING, found, cure, facts)


def error(check: str, found: str, cure: str, **facts: Any) -> Finding:
    """It hurts now."""
    return Finding(check, Level.ERROR, found, cure, facts)
