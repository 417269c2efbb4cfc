# SPDX-License-Identifier: Apache-2.0
"""JSON schemas of the answers of one microversion, made from their views."""

from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter

from kilonova.api.http.microversion import Microversion
from kilonova.api.http.views import ListOf, MapOf, OrNull, Shape, Shown, View

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/{model}"


class ReplySchemas:
    """Collects the schemas of named views in `schemas`; an envelope's schema stands where it is used."""

    def __init__(self, version: Microversion) -> None:
        self.schemas: dict[str, Schema] = {}
        self.version = version
        self._known: dict[str, Shape] = {}

    def of(self, shape: Shape, *, partial: bool = False) -> Schema:
        """The schema of a shape, or a reference to it.  Raises ValueError for two views of one name."""
        match shape:
            case View():
                return self._view(shape, partial=partial)
            case ListOf(entry):
                return {"type": "array", "items": self.of(entry)}
            case MapOf(value):
                return {"type": "object", "additionalProperties": self.of(value)}
            case OrNull(inner):
                return {"anyOf": [self.of(inner), {"type": "null"}]}
            case Shown(inner):
                return self.of(inner, partial=shape.partial)
            case _:
                raise TypeError(f"{type(shape).__name__} has no schema")

    def _view(self, view: View[Any, Any], *, partial: bool) -> Schema:
        if not view.name:
            return self._object(view, partial=partial)
        name = f"{view.name}Part" if partial else view.name
        if self._known.setdefault(name, view) is not view:
            raise ValueError(f"two views are called {name}")
        if name not in self.schemas:
            self.schemas[name] = {}  # a view may contain itself
            self.schemas[name] = self._object(view, partial=partial)
        return {"$ref": REFERENCE.format(model=name)}

    def _object(self, view: View[Any, Any], *, partial: bool) -> Schema:
        members = [member for member in view.members if member.is_in(self.version)]
        forms: dict[str, list[Schema]] = {}
        for member in members:
            schema, known = self.kind(member.kind), forms.setdefault(member.name, [])
            known += [] if schema in known else [schema]
        always = dict.fromkeys(member.name for member in members if not (member.optional or member.admin or partial))
        others = view.others_of(self.version)
        return {
            "type": "object",
            "properties": {name: _any_of(schemas) for name, schemas in forms.items()},
            "required": list(always),
            "additionalProperties": False if others is None else self.kind(others.kind),
        }

    def kind(self, kind: object) -> Schema:
        """The schema of a member's type."""
        if isinstance(kind, Shape):
            return self.of(kind)
        schema, definitions = _of_type(kind)
        for name, one in definitions.items():
            if self.schemas.setdefault(name, one) != one:
                raise ValueError(f"two types are called {name}")
        return schema


def _any_of(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


@lru_cache(maxsize=512)
def _of_type(kind: object) -> tuple[Schema, dict[str, Schema]]:
    """The schema of a Python type, and those that it refers to."""
    adapter = TypeAdapter[Any](kind)  # pyright: ignore[reportArgumentType] - a type, as `Member.kind` says
    schema = adapter.json_schema(ref_template=REFERENCE, mode="serialization")
    definitions: dict[str, Schema] = schema.pop("$defs", {})
    return _closed(schema), {name: _closed(one) for name, one in definitions.items()}


def _closed(schema: Schema) -> Schema:
    """Without titles; an object with declared members has no others."""
    plain = {key: _inner(value) for key, value in schema.items() if key not in ("title", "description")}
    if "properties" in schema:
        plain["properties"] = {name: _closed(member) for name, member in schema["properties"].items()}
        plain.setdefault("additionalProperties", False)
    return plain


def _inner(value: Any) -> Any:
    if isinstance(value, dict):
        return _closed(value)
    return [_inner(one) for one in value] if isinstance(value, list) else value
