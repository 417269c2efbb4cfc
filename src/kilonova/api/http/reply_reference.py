# SPDX-License-Identifier: Apache-2.0
"""The answers in docs/api.md: one table per named view."""

from collections.abc import Iterable, Iterator
from typing import Any

from kilonova.api.http.microversion import MAX, MIN
from kilonova.api.http.reply_schemas import ReplySchemas, Schema
from kilonova.api.http.route import Route
from kilonova.api.http.schema_words import words_of
from kilonova.api.http.views import ListOf, MapOf, Member, OrNull, Others, Shape, Shown, View


def answer_words(view: View[Any, Any] | None) -> str:
    """An answer in one line, with links to the tables of its views."""
    return "no body" if view is None else _Words().of(view)


def tables(routes: Iterable[Route]) -> list[str]:
    """The section with every named view that an answer of the routes is made of."""
    views: dict[str, View[Any, Any]] = {}
    for route in routes:
        for view in (route.reply, *(one.reply for ones in route.actions.values() for one in ones)):
            views |= {one.name: one for one in _named(view)}
    words, lines = _Words(), ["## Answers", ""]
    for name, view in sorted(views.items()):
        lines += [f"### {name}", "", "| member | type | since | until | |", "|---|---|---|---|---|"]
        lines += [_line(member, words) for member in view.members]
        lines += (
            [] if view.others is None else [f"| any other | {words.of(view.others.kind)} | | {_until(view.others)} | |"]
        )
        lines.append("")
    return lines


def _line(member: Member[Any, Any], words: "_Words") -> str:
    since = "" if member.since == MIN else str(member.since)
    notes = [*(["administrators only"] if member.admin else []), *(["may be absent"] if member.optional else [])]
    return f"| `{member.name}` | {words.of(member.kind)} | {since} | {_until(member)} | {', '.join(notes)} |"


def _until(part: Member[Any, Any] | Others[Any, Any]) -> str:
    return "" if part.until == MAX else str(part.until)


def _named(shape: object) -> Iterator[View[Any, Any]]:
    match shape:
        case View():
            if shape.name:
                yield shape
            for member in (*shape.members, *([] if shape.others is None else [shape.others])):
                yield from _named(member.kind)
        case ListOf(inner) | MapOf(inner) | OrNull(inner) | Shown(inner):
            yield from _named(inner)
        case _:
            return


class _Words:
    def __init__(self) -> None:
        self._schemas = ReplySchemas(MAX)

    def of(self, kind: object) -> str:
        match kind:
            case View():
                return self._view(kind)
            case ListOf(entry):
                return f"list of {self.of(entry)}"
            case MapOf(value):
                return f"object of {self.of(value)}"
            case OrNull(inner):
                return f"{self.of(inner)} or null"
            case Shown(inner, partial):
                return f"{self.of(inner)}{', in part' if partial else ''}"
            case Shape():
                raise TypeError(f"{type(kind).__name__} has no words")
            case _:
                return words_of(self._schemas.kind(kind), self)

    def _view(self, view: View[Any, Any]) -> str:
        if view.name:
            return f"[{view.name}](#{view.name.lower()})"
        return f"{{{', '.join(f'{member.name}: {self.of(member.kind)}' for member in view.members)}}}"

    def resolved(self, schema: Schema) -> Schema:
        """The schema that a reference names."""
        name: str = schema.get("$ref", "").rpartition("/")[2]
        return self._schemas.schemas[name] if name else schema
