# SPDX-License-Identifier: Apache-2.0
"""Short descriptions of JSON schemas, for docs/api.md."""

from collections.abc import Iterator
from typing import Protocol

from kilonova.api.http.schemas import Schema

_WORDS = {"minimum": "from {}", "exclusiveMinimum": "over {}", "maximum": "to {}", "format": "{}"}


class Definitions(Protocol):
    """Follows references."""

    def resolved(self, schema: Schema) -> Schema: ...


def words_of(schema: Schema, definitions: Definitions | None = None) -> str:
    """A short description of a schema: `text, 1 to 255 characters, or null`."""
    if definitions is not None:
        schema = definitions.resolved(schema)
    if "anyOf" in schema:
        return " or ".join(words_of(one, definitions) for one in schema["anyOf"])
    if schema.get("properties"):
        members = (f"{name}: {words_of(one, definitions)}" for name, one in schema["properties"].items())
        return f"{{{', '.join(members)}}}"
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{word}`" for word in schema.get("enum", [schema.get("const")]))
    kind: str = schema.get("type", "anything")
    names = {
        "string": "text",
        "array": "list",
    }
    words: list[str] = [names.get(kind, kind), *_limits(schema)]
    if kind == "array" and schema.get("items"):
        words[0] = f"list of {words_of(schema['items'], definitions)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        words[0] = f"object of {words_of(schema['additionalProperties'], definitions)}"
    return ", ".join(words)


def _limits(schema: Schema) -> Iterator[str]:
    for unit, least, most in (("characters", "minLength", "maxLength"), ("entries", "minItems", "maxItems")):
        if most in schema:
            yield f"{schema.get(least, 0)} to {schema[most]} {unit}"
    for word, template in _WORDS.items():
        if word in schema:
            yield template.format(schema[word])
    if "pattern" in schema:
        yield f"`{schema['pattern']}`".replace("|", "\\|")
