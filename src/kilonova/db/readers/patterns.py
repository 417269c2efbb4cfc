# SPDX-License-Identifier: Apache-2.0
"""Regular expressions that users send as filters: taken when they cannot run wild.

Python's `re` backtracks, and one hostile pattern against one long name would hold the whole process.  So what makes a
search more than quadratic in a name's length is refused: repeated groups, look-around, back references, and more than
a few repeats and alternatives.  What a list costs all in all is counted, too: a cheap search of many names takes as
long as a dear one of few.
"""

import re

from kilonova.base.errors import InvalidInput

_MOST_CHARACTERS = 255
_MOST_POINTS = 7
_POINTS = {"*": 3, "+": 3, "{": 3, "?": 1, "|": 1}
_MOST_REPEATS = 2
_ROW_STEPS = 10_000
MOST_STEPS = 1_000_000_000
"""Of one list: a quarter of a second or so.  A row costs _ROW_STEPS, and what its text takes in the worst case."""
_ONLY_LITERALS = re.compile(r"\^((?:[A-Za-z0-9_ :@/-]|\\[^A-Za-z0-9])*)\$")


def compiled(argument: str, pattern: str) -> re.Pattern[str]:
    """The pattern, to be searched, unanchored.  Raises InvalidInput when it is none, or one that could take long."""
    try:
        regex = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as exc:
        raise InvalidInput(f"{argument} is not a regular expression: {exc}", path=argument) from exc
    if len(pattern) > _MOST_CHARACTERS or not _is_tame(pattern):
        raise InvalidInput(f"{argument} is too complicated a regular expression.", path=argument)
    return regex


class Budget:
    """What the searches of one list may cost together."""

    def __init__(self) -> None:
        self._left = MOST_STEPS

    def spend(self, argument: str, steps: int) -> None:
        """Raises InvalidInput when nothing is left."""
        self._left -= steps
        if self._left < 0:
            raise InvalidInput(
                f"{argument} takes too long to look for among so many servers: use a simpler regular expression, or "
                "more filters.",
                path=argument,
            )


class Search:
    """A user's pattern for one argument, searched for in many texts.  Raises InvalidInput as `compiled` does."""

    def __init__(self, argument: str, pattern: str, budget: Budget) -> None:
        self._argument, self._regex, self._budget = argument, compiled(argument, pattern), budget
        self._power = min(_MOST_REPEATS, sum(map(pattern.count, "*+{"))) + 1

    def finds(self, text: str) -> bool:
        """Whether the text has it somewhere.  Raises InvalidInput when the budget is spent."""
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
