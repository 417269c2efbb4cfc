# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document of everything that is served, made from the rows: GET /openapi.json.

One document describes one microversion: rows, actions and members of bodies that it has, and no others.
"""

from collections.abc import Iterable
from typing import Any

from kilonova import __version__
from kilonova.api.http.call import JSON
from kilonova.api.http.faults import KEYS
from kilonova.api.http.microversion import MAX, MIN, Microversion
from kilonova.api.http.route import Role, Row, Service
from kilonova.api.http.schemas import Models, Schema, path_parameters, query_parameters, served

_VERBATIM: Schema = {"type": "string", "format": "binary"}


def document(services: Iterable[Service], version: Microversion = MAX) -> dict[str, Any]:
    """An OpenAPI 3.1 document of what a microversion serves."""
    rows = [(service, row) for service in services for row in service.rows if _is_served(service, row, version)]
    models = Models((row for _, row in rows), version)
    paths: dict[str, dict[str, Any]] = {}
    for service, row in rows:
        path = paths.setdefault(f"{service.prefix}{row.path}" or "/", {})
        path[row.method.lower()] = _operation(service, row, version, models)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kilonova",
            "version": __version__,
            "description": f"The OpenStack APIs that are served here; Compute at microversion {version}.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": models.schemas,
            "responses": _FAULTS,
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }


def _is_served(service: Service, row: Row, version: Microversion) -> bool:
    return not service.microversions or row.min <= version <= row.max


def _operation(service: Service, row: Row, version: Microversion, models: Models) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{row.method.lower()}:{service.prefix}{row.path}",
        "summary": _summary(row),
        "tags": [service.prefix or "/"],
        "x-policy": row.rule,
        "x-role": row.role.name.lower(),
        "parameters": [*path_parameters(row), *query_parameters(row)],
        "responses": _responses(service, row, version),
    }
    if service.microversions:
        operation["x-microversions"] = {"min": str(row.min), "max": str(row.max)}
        operation["parameters"].append(_version_header(version))
    if row.role is not Role.ANYBODY:
        operation["security"] = [{"token": []}]
    schema = _body(row, version, models)
    if schema is not None:
        operation["requestBody"] = {"required": True, "content": {row.accepts: {"schema": schema}}}
    if row.actions:
        operation["x-actions"] = {
            name: {"policy": one.rule, "role": one.role.name.lower(), "code": one.success}
            for name, one in served(row.actions, version).items()
        }
    return operation


def _summary(row: Row) -> str:
    return (row.handler.__doc__ or row.rule).strip().partition("\n")[0]


def _body(row: Row, version: Microversion, models: Models) -> Schema | None:
    if row.actions:
        return {"oneOf": [models.reference(one.body) for one in served(row.actions, version).values()]}
    if row.body is not None:
        return models.reference(row.body)
    if row.shape is not None:
        return models.reference(row.shape) if isinstance(row.shape, type) else dict(row.shape)
    if row.accepts != JSON:
        return _VERBATIM
    return {} if row.whole else None


def _responses(service: Service, row: Row, version: Microversion) -> dict[str, Any]:
    actions = served(row.actions, version).values()
    codes = {one.success for one in actions} or {row.success, *row.also}
    found: dict[str, Any] = {}
    for code in sorted(codes):
        found[str(code)] = {"description": row.reply or "no body"}
        if row.reply and code != 204 and not actions:
            schema = {"type": "object"} if row.gives == JSON else _VERBATIM
            found[str(code)]["content"] = {row.gives: {"schema": schema}}
    if row.role is not Role.ANYBODY:
        found["401"] = {"$ref": "#/components/responses/Unauthorized"}
    kind = "IdentityFault" if service.identity else "NetworkFault" if service.network else "Fault"
    found["default"] = {"$ref": f"#/components/responses/{kind}"}
    return found


def _version_header(version: Microversion) -> Schema:
    return {
        "name": "OpenStack-API-Version",
        "in": "header",
        "required": version != MIN,
        "description": f"compute {MIN} to compute {MAX}, or compute latest; none means {MIN}",
        "schema": {"type": "string", "enum": [f"compute {version}"]},
    }


def _fault(description: str, *keys: str, **members: Schema) -> dict[str, Any]:
    one = {"type": "object", "required": sorted(members), "properties": members}
    whole = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": dict.fromkeys(keys, one),
        "additionalProperties": False,
    }
    return {"description": description, "content": {JSON: {"schema": whole}}}


_CODE: Schema = {"type": "integer"}
_WORDS: Schema = {"type": "string"}

_FAULTS: dict[str, Any] = {
    "Fault": _fault("a fault of Compute or Image, by its name", *KEYS, code=_CODE, message=_WORDS),
    "IdentityFault": _fault("a fault of Identity", "error", code=_CODE, title=_WORDS, message=_WORDS),
    "NetworkFault": _fault("a fault of Network", "NeutronError", type=_WORDS, message=_WORDS, detail=_WORDS),
    "Unauthorized": _fault("no token, or none that is valid", "error", code=_CODE, title=_WORDS, message=_WORDS),
}
