# SPDX-License-Identifier: Apache-2.0
"""Compares JSON schemas of messages: does one version read all that another one writes?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]
UNREAD = "UnreadParams"
"""Parameters of a newer version than the writer: no writer makes them."""


@dataclass
class Comparison:
    """What `reader` cannot read of `written`, each difference with its place.  The definitions are those that the two
    sides refer to."""

    reads: Mapping[str, Schema]
    writes: Mapping[str, Schema]
    seen: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def lacks(self, reader: Schema, written: Schema, at: str = "") -> Iterator[str]:
        """The differences; none: the reader reads whatever the writer writes."""
        pair = (str(reader.get("$ref", id(reader))), str(written.get("$ref", id(written))))
        if pair in self.seen:
            return
        self.seen.add(pair)
        reader, written = _resolved(reader, self.reads), _resolved(written, self.writes)
        if written.get("title") == UNREAD or not set(reader) - {"title", "description", "default"}:
            return
        if "anyOf" in written:
            for choice in written["anyOf"]:
                yield from self.lacks(reader, choice, at)
        elif "anyOf" in reader:
            if not any(self._reads(choice, written) for choice in reader["anyOf"]):
                yield f"{at}: none of the forms reads {written.get('title') or written.get('type') or written}"
        else:
            yield from self._plain(reader, written, at)

    def _reads(self, reader: Schema, written: Schema) -> bool:
        fresh = Comparison(self.reads, self.writes, set(self.seen))
        return not any(fresh.lacks(reader, written))

    def _plain(self, reader: Schema, written: Schema, at: str) -> Iterator[str]:
        values, known = _values(written), _values(reader)
        if known is not None:
            if values is None:
                yield f"{at}: only some values are read"
            elif values - known:
                yield f"{at}: {', '.join(sorted(map(str, values - known)))} is not read"
            return
        kinds = {reader.get("type"), written.get("type")}
        if len(kinds) > 1 and kinds != {"integer", "number"}:
            yield f"{at}: {written.get('type')} is not read as {reader.get('type')}"
        elif reader.get("type") == "object":
            yield from self._object(reader, written, at)
        elif reader.get("type") == "array":
            yield from self._array(reader, written, at)
        elif reader.get("format") not in (None, written.get("format")):
            yield f"{at}: the format {written.get('format')} is not read as {reader.get('format')}"

    def _object(self, reader: Schema, written: Schema, at: str) -> Iterator[str]:
        wanted, given = reader.get("properties", {}), written.get("properties", {})
        for name in reader.get("required", ()):
            if name not in written.get("required", ()):
                yield f"{at}.{name}: is required and is not always written"
        for name in wanted.keys() & given.keys():
            yield from self.lacks(wanted[name], given[name], f"{at}.{name}")
        more, others = reader.get("additionalProperties", True), written.get("additionalProperties", False)
        if more is False and (others or given.keys() - wanted.keys()):
            yield f"{at}: {', '.join(sorted(given.keys() - wanted.keys())) or 'any other field'} is not read"
        if isinstance(more, dict):
            for value in (*given.values(), *([others] if isinstance(others, dict) else [])):
                yield from self.lacks(more, value, f"{at}.*")

    def _array(self, reader: Schema, written: Schema, at: str) -> Iterator[str]:
        if len(reader.get("prefixItems", ())) != len(written.get("prefixItems", ())):
            yield f"{at}: has another length"
        for number, (left, right) in enumerate(
            zip(reader.get("prefixItems", ()), written.get("prefixItems", ()), strict=False)
        ):
            yield from self.lacks(left, right, f"{at}[{number}]")
        if "items" in reader and "items" in written:
            yield from self.lacks(reader["items"], written["items"], f"{at}[]")


def _resolved(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    return schema


def _values(schema: Schema) -> set[Any] | None:
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None
