# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document of all routes: GET /openapi.json.

A document describes one microversion: its routes, its actions, and the members of bodies and answers that it has.
"""

from collections.abc import Iterable
from typing import Any

from kilonova import __version__
from kilonova.api.http.call import JSON
from kilonova.api.http.faults import KEYS
from kilonova.api.http.microversion import MAX, MIN, Microversion
from kilonova.api.http.reply_schemas import ReplySchemas
from kilonova.api.http.route import Alternative, DefaultPolicy, Route, Service
from kilonova.api.http.schemas import Models, Schema, path_parameters, query_parameters, served
from kilonova.api.http.views import View

_VERBATIM: Schema = {"type": "string", "format": "binary"}


def document(services: Iterable[Service], version: Microversion = MAX) -> dict[str, Any]:
    """An OpenAPI 3.1 document of what a microversion serves."""
    routes = [
        (service, route) for service in services for route in service.routes if _is_served(service, route, version)
    ]
    models, replies = Models((route for _, route in routes), version), ReplySchemas(version)
    paths: dict[str, dict[str, Any]] = {}
    for service, route in routes:
        path = paths.setdefault(f"{service.prefix}{route.path}" or "/", {})
        path[route.method.lower()] = _operation(service, route, models, replies)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kilonova",
            "version": __version__,
            "description": f"The OpenStack APIs that are served here; Compute at microversion {version}.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": _disjoint(models.schemas, replies.schemas),
            "responses": _FAULTS,
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }


def _disjoint(bodies: dict[str, Schema], answers: dict[str, Schema]) -> dict[str, Schema]:
    common = bodies.keys() & answers.keys()
    if common:
        raise ValueError(f"a body and an answer have one name: {', '.join(sorted(common))}")
    return {**bodies, **answers}


def _is_served(service: Service, route: Route, version: Microversion) -> bool:
    return not service.microversions or route.min <= version <= route.max


def _operation(service: Service, route: Route, models: Models, replies: ReplySchemas) -> dict[str, Any]:
    version = replies.version
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}:{service.prefix}{route.path}",
        "summary": _summary(route),
        "tags": [service.prefix or "/"],
        "x-policy": route.rule,
        "x-default-policy": route.default.name.lower(),
        "parameters": [*path_parameters(route), *query_parameters(route)],
        "responses": _responses(service, route, replies),
    }
    if service.microversions:
        operation["x-microversions"] = {"min": str(route.min), "max": str(route.max)}
        operation["parameters"].append(_version_header(version))
    if route.default is not DefaultPolicy.ANYBODY:
        operation["security"] = [{"token": []}]
    schema = _body(route, version, models)
    if schema is not None:
        operation["requestBody"] = {"required": True, "content": {route.accepts: {"schema": schema}}}
    if route.actions:
        operation["x-actions"] = {
            name: {
                "summary": _summary(one),
                "policy": one.rule,
                "default-policy": one.default.name.lower(),
                "code": one.success,
            }
            for name, one in served(route.actions, version).items()
        }
    return operation


def _summary(route: Route | Alternative) -> str:
    return (route.handler.__doc__ or route.rule).strip().partition("\n")[0]


def _body(route: Route, version: Microversion, models: Models) -> Schema | None:
    if route.actions:
        return {"oneOf": [models.reference(one.body) for one in served(route.actions, version).values()]}
    if route.body is not None:
        return models.reference(route.body)
    if route.shape is not None:
        return models.reference(route.shape) if isinstance(route.shape, type) else dict(route.shape)
    if route.accepts != JSON:
        return _VERBATIM
    return {} if route.whole else None


def _responses(service: Service, route: Route, replies: ReplySchemas) -> dict[str, Any]:
    found: dict[str, Any] = {}
    actions = served(route.actions, replies.version).values()
    codes = {one.success for one in actions} or {route.success, *route.also}
    for code in sorted(codes):
        views = [one.reply for one in actions if one.success == code] if actions else [route.reply]
        found[str(code)] = {"description": route.note or "success"}
        if code != 204 and (content := _content(route, views, replies)):
            found[str(code)]["content"] = content
    if route.default is not DefaultPolicy.ANYBODY:
        found["401"] = {"$ref": "#/components/responses/Unauthorized"}
    kind = "IdentityFault" if service.identity else "NetworkFault" if service.network else "Fault"
    found["default"] = {"$ref": f"#/components/responses/{kind}"}
    return found


def _content(route: Route, views: Iterable[View[Any, Any] | None], replies: ReplySchemas) -> dict[str, Any]:
    """The content of an answer by media type; empty if the answer never has a body."""
    if route.gives != JSON:
        return {route.gives: {"schema": _VERBATIM}}
    schemas = [replies.of(view) for view in views if view is not None and view.is_in(replies.version)]
    if not schemas:
        return {}
    return {JSON: {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}


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
