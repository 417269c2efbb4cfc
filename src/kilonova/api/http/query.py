# SPDX-License-Identifier: Apache-2.0
"""The query string: parsed once, read by type, refused with the argument's name."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode

from kilonova.api.http.body import NUL_IS_REFUSED
from kilonova.base.errors import InvalidInput

T = TypeVar("T")

_MOST_ARGUMENTS = 256
_LAST_MICROSECOND = 999_999
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` entries after the entry whose id is `marker`."""

    limit: int
    marker: str | None

    def behind(
        self, things: Sequence[T], id_of: Callable[[T], str], missing: str = "marker [{}] not found"
    ) -> Sequence[T]:
        """All entries after the marker's entry; all of them without a marker.  Raises InvalidInput, with the message
        `missing`, for an unknown marker."""
        if self.marker is None:
            return things
        for at, thing in enumerate(things):
            if id_of(thing) == self.marker:
                return things[at + 1 :]
        raise InvalidInput(missing.format(self.marker[:255]), path="marker")


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes at or after `since` and at or before `before`; None means no bound."""

    since: datetime | None = None
    before: datetime | None = None


class Query:
    """Arguments by name, in their order.  All readers raise InvalidInput for an invalid value."""

    __slots__ = ("pairs",)

    def __init__(self, query_string: bytes) -> None:
        if not query_string:
            self.pairs: list[tuple[str, str]] = []
            return
        try:
            self.pairs = parse_qsl(
                query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_ARGUMENTS
            )
        except ValueError as exc:
            raise InvalidInput(f"The query has more than {_MOST_ARGUMENTS} arguments.") from exc
        for name, value in self.pairs:
            if "\0" in name or "\0" in value:
                name = name.replace("\0", "")[:64]
                raise InvalidInput(f"Invalid input for query parameters {name}. {NUL_IS_REFUSED}", path=name)

    def names(self) -> Iterable[str]:
        return dict(self.pairs)

    def text(self, name: str) -> str | None:
        """The last value of that name."""
        return next((value for key, value in reversed(self.pairs) if key == name), None)

    def all(self, name: str) -> list[str]:
        """Every value of that name."""
        return [value for key, value in self.pairs if key == name]

    def boolean(self, name: str) -> bool | None:
        """A word for true or false; None without the argument."""
        text = self.text(name)
        if text is None:
            return None
        if text.lower() in _TRUE:
            return True
        if text.lower() in _FALSE:
            return False
        raise InvalidInput(
            f"Invalid input for query parameters {name}. Value: {text[:64]}. It is not a boolean.", path=name
        )

    def integer(self, name: str) -> int | None:
        """A whole number from 0 up."""
        text = self.text(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise InvalidInput(
                f"Invalid input for query parameters {name}. Value: {text[:64]}. It is not an integer from 0 up.",
                path=name,
            )
        return int(text)

    def time(self, name: str) -> datetime | None:
        """A time in ISO 8601; without a zone it is UTC."""
        text = self.text(name)
        if text is None:
            return None
        try:
            # An unescaped "+" of a time zone arrives as a blank.
            at = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError) as exc:  # (its zone may take it beyond the years that there are)
            raise InvalidInput(
                f"Invalid input for query parameters {name}. Value: {text[:64]}. It is not an ISO 8601 time.", path=name
            ) from exc

    def changes(self, *, before: bool = True) -> Changes:
        """`changes-since` and, if the microversion has it, `changes-before`.  The API shows times in whole seconds, so
        the second in `changes-before` is included to its last microsecond."""
        since, end = self.time("changes-since"), self.time("changes-before") if before else None
        if since is not None and end is not None and since > end:
            raise InvalidInput(
                "The value of changes-since must be less than or equal to changes-before.", path="changes-since"
            )
        return Changes(since, None if end is None else end.replace(microsecond=_LAST_MICROSECOND))

    def page(self, longest: int) -> Page:
        """`limit` and `marker`.  Without a limit, or with one above `longest`, the limit is `longest`."""
        limit = self.integer("limit")
        return Page(longest if limit is None else min(limit, longest), self.text("marker"))

    def after(self, marker: str) -> str:
        """The same query for the page after `marker`."""
        return urlencode([*((key, value) for key, value in self.pairs if key != "marker"), ("marker", marker)])


def boolean_word(value: object) -> bool | None:
    """A JSON value that means true or false in OpenStack's APIs (True, "yes", "1", ...); None for others."""
    if isinstance(value, bool):
        return value
    text = value.lower() if isinstance(value, str) else ""
    return True if text in _TRUE else False if text in _FALSE else None
