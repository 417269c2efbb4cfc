# SPDX-License-Identifier: Apache-2.0
"""The finding of a check."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """The severity.  An error prevents new guests, or can lose accepted work.  A warning can become an error later.
    A note is information."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"

    @property
    def weight(self) -> int:
        """The sort key: higher is more severe."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    `found` is one sentence.  `cure` is a command or a sentence, empty when nothing is necessary.  `facts` are JSON-safe
    and contain no secrets.
    """

    check: str
    level: Level
    found: str
    cure: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


def ok(check: str, found: str, **facts: Any) -> Finding:
    """A finding without a problem."""
    return Finding(check, Level.OK, found, facts=facts)


def note(check: str, found: str, cure: str = "", **facts: Any) -> Finding:
    """Information."""
    return Finding(check, Level.NOTE, found, cure, facts)


def warning(check: str, found: str, cure: str, **facts: Any) -> Finding:
    """A problem that can become an error later."""
    return Finding(check, Level.WARNING, found, cure, facts)


def error(check: str, found: str, cure: str, **facts: Any) -> Finding:
    """A problem now."""
    return Finding(check, Level.ERROR, found, cure, facts)
