# SPDX-License-Identifier: Apache-2.0
"""Regular expressions of users as filters: accepted when their cost is bounded.

Python's `re` backtracks, and one hostile pattern on one long name would block the whole process.  So constructs that
make a search more than quadratic in a name's length are refused: repeated groups, look-around, back references, and
more than a few repeats and alternatives.  The total cost of a list is limited, too: a cheap search of many names takes
as long as an expensive search of few.
"""

import re

from kilonova.base.errors import InvalidInput

_MOST_CHARACTERS = 255
_MOST_POINTS = 7
_POINTS = {"*": 3, "+": 3, "{": 3, "?": 1, "|": 1}
_MOST_REPEATS = 2
_ROW_STEPS = 10_000
MOST_STEPS = 1_000_000_000
"""The budget of one list: about a quarter of a second.  A row costs _ROW_STEPS, and the worst case of its text."""
_ONLY_LITERALS = re.compile(r"\^((?:[A-Za-z0-9_ :@/-]|\\[^A-Za-z0-9])*)\$")


def compiled(argument: str, pattern: str) -> re.Pattern[str]:
    """The compiled pattern, for an unanchored search.  Raises InvalidInput for an invalid or slow pattern."""
    try:
        regex = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as exc:
        raise InvalidInput(f"{argument} is not a regular expression: {exc}", path=argument) from exc
    if len(pattern) > _MOST_CHARACTERS or not _is_tame(pattern):
        raise InvalidInput(f"{argument} is too complicated a regular expression.", path=argument)
    return regex


class Budget:
    """The cost limit of all searches of one list."""

    def __init__(self) -> None:
        self._left = MOST_STEPS

    def spend(self, argument: str, steps: int) -> None:
        """Subtract a cost.  Raises InvalidInput when the budget is spent."""
        self._left -= steps
        if self._left < 0:
            raise InvalidInput(
                f"{argument} takes too long to look for among so many servers: use a simpler regular expression, or "
                "more filters.",
                path=argument,
            )


class Search:
    """A user's pattern for one argument, which is searched in many texts.  Raises InvalidInput as `compiled` does."""

    def __init__(self, argument: str, pattern: str, budget: Budget) -> None:
        self._argument, self._regex, self._budget = argument, compiled(argument, pattern), budget
        self._power = min(_MOST_REPEATS, sum(map(pattern.count, "*+{"))) + 1

    def finds(self, text: str) -> bool:
        """Whether the text contains a match.  Raises InvalidInput when the budget is spent."""
        self._budget.spend(self._argument, _ROW_STEPS + len(text) ** self._power)
        return self._regex.search(text) is not None


def literal(pattern: str) -> str | None:
    """The one text that an anchored pattern without any wildcard matches (`^web-1$`); None for all others.

    Clients look up things by name this way; the database can then use an index or at least compare.
    """
    match = _ONLY_LITERALS.fullmatch(pattern)
    return None if match is None else re.sub(r"\\(.)", r"\1", match[1])


def _is_tame(pattern: str) -> bool:
    points = 0
    in_class = escaped = group_ended = False
    for at, character in enumerate(pattern):
        if escaped:
            escaped = False
            if character.isdigit() and not in_class:  # a back reference
                return False
        elif character == "\\":
            escaped = True
        elif in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
        elif pattern.startswith("(?", at):
            return False
        else:
            if group_ended and character in "*+?{":
                return False
            points += _POINTS.get(character, 0)
            group_ended = character == ")"
            continue
        group_ended = False
    return points <= _MOST_POINTS
