# SPDX-License-Identifier: Apache-2.0
"""JSON schemas of requests: bodies by their models, path parameters and query arguments by their names.

A name has the same schema in every route, so that a new route does not describe its arguments again.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from kilonova.api.http.microversion import Microversion
from kilonova.api.http.route import Alternatives, Route

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/{model}"

_UUID: Schema = {"type": "string", "format": "uuid", "pattern": "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"}
_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "integer", "minimum": 0}
_FLAG: Schema = {"type": "boolean"}
_TIME: Schema = {"type": "string", "format": "date-time"}

_SEGMENT: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
_SEGMENTS: Mapping[str, Schema] = {
    "server_id": _UUID,
    "image_id": _UUID,
    "service_id": _UUID,
    "port_id": _UUID,
    "aggregate_id": {"type": "integer", "minimum": 1},
    "tag": {"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^[^,/]+$"},
}

_ARGUMENTS: Mapping[str, Schema] = {
    **dict.fromkeys(("limit", "minRam", "minDisk", "min_ram", "min_disk", "size_min", "size_max"), _NUMBER),
    **dict.fromkeys(("power_state", "launch_index"), _NUMBER),
    **dict.fromkeys(("all_tenants", "config_drive", "with_servers", "page_reverse", "protected", "os_hidden"), _FLAG),
    **dict.fromkeys(("enabled", "effective", "include_names"), _FLAG),
    **dict.fromkeys(("changes-since", "changes-before"), _TIME),
    "sort_dir": {"type": "string", "enum": ["asc", "desc"]},
    "is_public": {"type": "string", "enum": ["true", "false", "none"]},
}


def path_parameters(route: Route) -> list[Schema]:
    """The parameters in the route's path, as OpenAPI names them."""
    names = [segment[1:-1] for segment in route.path.split("/") if segment.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": _SEGMENTS.get(name, _SEGMENT)} for name in names]


def query_parameters(route: Route) -> list[Schema]:
    """The query arguments of the route."""
    return [{"name": name, "in": "query", "schema": _ARGUMENTS.get(name, _TEXT)} for name in sorted(route.query)]


def models_of(route: Route) -> Iterable[type[BaseModel]]:
    """Every model of a body of the route, at any microversion."""
    if route.body is not None:
        yield route.body
    if isinstance(route.shape, type):
        yield route.shape
    for alternatives in route.actions.values():
        yield from (one.body for one in alternatives)


def served(actions: Alternatives, version: Microversion) -> dict[str, Any]:
    """The actions of a microversion by their names."""
    return {
        name: one for name, alternatives in actions.items() for one in alternatives if one.min <= version <= one.max
    }


class Models:
    """The schemas of models and of the models that they refer to.  Names are unique, also if two models share one."""

    def __init__(self, routes: Iterable[Route], version: Microversion | None = None) -> None:
        """With a version: only the members of that version.  Without a version: all members, each with its versions."""
        models = dict.fromkeys(model for route in routes for model in models_of(route))
        found, whole = models_json_schema([(model, "validation") for model in models], ref_template=REFERENCE)
        definitions: dict[str, Schema] = whole.get("$defs", {})
        self.schemas = {name: _of_version(schema, version) for name, schema in sorted(definitions.items())}
        self._references = {model: found[model, "validation"] for model in models}

    def reference(self, model: type[BaseModel]) -> Schema:
        """A reference to the model."""
        return dict(self._references[model])

    def resolved(self, schema: Schema) -> Schema:
        """The schema itself, or the schema to which it refers."""
        name: str = schema.get("$ref", "").rpartition("/")[2]
        return {**self.schemas[name], **{key: schema[key] for key in schema if key != "$ref"}} if name else schema


def _of_version(schema: Schema, version: Microversion | None) -> Schema:
    """Without titles, which only repeat names, and without members of other microversions."""
    properties: dict[str, Schema] = schema.get("properties", {})
    kept = {name: _untitled(member) for name, member in properties.items() if _is_there(member, version)}
    changed = {key: value for key, value in schema.items() if key != "title"}
    if properties:
        changed["properties"] = kept
        changed["required"] = [name for name in schema.get("required", ()) if name in kept]
    return changed


def _untitled(member: Schema) -> Schema:
    return {key: value for key, value in member.items() if key != "title"}


def _is_there(member: Schema, version: Microversion | None) -> bool:
    if version is None:
        return True
    return _version(member.get("x-since"), version) <= version <= _version(member.get("x-until"), version)


def _version(text: str | None, otherwise: Microversion) -> Microversion:
    major, _, minor = (text or str(otherwise)).partition(".")
    return Microversion(int(major), int(minor))
