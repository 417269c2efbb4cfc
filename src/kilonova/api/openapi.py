# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document of everything that is served, made from the rows."""

from collections.abc import Iterable
from typing import Any

from kilonova import __version__
from kilonova.api.microversion import MAX, MIN
from kilonova.api.route import Role, Row, Service


def document(services: Iterable[Service]) -> dict[str, Any]:
    """An OpenAPI 3.1 document.  A path that has several rows for one method, by microversion, shows the newest."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {}
    for service in services:
        for row in sorted(service.rows, key=lambda row: row.max):
            path = paths.setdefault(f"{service.prefix}{row.path}" or "/", {})
            path[row.method.lower()] = _operation(service, row, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kilonova", "version": __version__},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }


def _operation(service: Service, row: Row, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": _summary(row),
        "tags": [service.prefix or "/"],
        "x-policy": row.rule,
        "x-role": row.role.name.lower(),
        "parameters": [*_path_parameters(row), *_query_parameters(row)],
        "responses": {str(row.success): {"description": row.reply or "no body"}},
    }
    if service.microversions:
        operation["x-microversions"] = {"min": str(row.min), "max": str(row.max)}
        operation["parameters"].append(_version_header())
    if row.role is not Role.ANYBODY:
        operation["security"] = [{"token": []}]
    if row.body is not None:
        schema = row.body.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[row.body.__name__] = schema
        reference = {"$ref": f"#/components/schemas/{row.body.__name__}"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
    elif row.whole:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": {}}}}
    return operation


def _summary(row: Row) -> str:
    return (row.handler.__doc__ or row.rule).strip().partition("\n")[0]


def _path_parameters(row: Row) -> list[dict[str, Any]]:
    names = [segment[1:-1] for segment in row.path.split("/") if segment.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(row: Row) -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "schema": {"type": "string"}} for name in sorted(row.query)]


def _version_header() -> dict[str, Any]:
    return {
        "name": "OpenStack-API-Version",
        "in": "header",
        "description": f"compute {MIN} to compute {MAX}, or compute latest",
        "schema": {"type": "string"},
    }
