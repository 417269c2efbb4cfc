# SPDX-License-Identifier: Apache-2.0
"""Every route and every action as a request: paths filled in, bodies made of their models.

What is not known here fails by name, so that a new route is walked from its first day or says what it lacks.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json

from kilonova.api.http.body import validated_value
from kilonova.api.http.microversion import MAX
from kilonova.api.http.route import DefaultPolicy, Route, Service
from kilonova.api.routes import SERVICES
from kilonova.base.errors import InvalidInput

UNKNOWN_UUID = "4b1d0000-0000-4000-8000-00000000dead"
UNKNOWN_HEX = "4b1d000000004000800000000000dead"
UNKNOWN_NAME = "nothing-of-that-name"

COMPUTE, IDENTITY, IMAGE, NETWORK = "/compute/v2.1", "/identity/v3", "/image/v2", "/network/v2.0"


@dataclass(frozen=True)
class Target:
    """One request, with {names} in its path to be filled in."""

    method: str
    template: str
    default: DefaultPolicy
    version: str
    what: str
    body: Any = None
    content: bytes | None = None
    content_type: str = "application/json"
    query: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(re.findall(r"{(\w+)}", self.template))

    def asked(self, params: Mapping[str, str]) -> dict[str, Any]:
        """Arguments for a client, the names filled in."""
        path = re.sub(r"{(\w+)}", lambda found: params[found[1]], self.template)
        headers = {"OpenStack-API-Version": f"compute {self.version}", "Content-Type": self.content_type}
        if self.body is not None:
            return {"method": self.method, "url": path, "headers": headers, "content": to_json(self.body)}
        return {"method": self.method, "url": path, "headers": headers, "content": self.content}


BODIES: Mapping[str, Any] = {
    "UpdateServer": {"server": {"name": "taken"}},
    "Resize": {"resize": {"flavorRef": "2"}},
    "Unshelve": {"unshelve": {"availability_zone": "nova"}},
    "Rebuild": {"rebuild": {"imageRef": UNKNOWN_UUID}},
    "CreateRemoteConsole": {"remote_console": {"protocol": "serial", "type": "serial"}},
}
"""By the model's name, where the smallest that the schema allows is refused."""

ADMINS = (DefaultPolicy.ADMIN, DefaultPolicy.IDENTITY_ADMIN, DefaultPolicy.SYSTEM_READER, DefaultPolicy.DOMAIN_READER)
WITHOUT_BODY = (DefaultPolicy.ANYBODY, *ADMINS)
"""Whoever is not let in is not read."""

RAW: Mapping[tuple[str, str], tuple[bytes, str]] = {
    ("POST", "/images"): (b'{"name": "x"}', "application/json"),
    ("PATCH", "/images/{image_id}"): (
        b'[{"op": "replace", "path": "/name", "value": "taken"}]',
        "application/openstack-images-v2.1-json-patch",
    ),
    ("PUT", "/images/{image_id}/file"): (bytes(1 << 20), "application/octet-stream"),
}
"""Of the routes that look into their bytes themselves."""


def targets() -> Iterator[Target]:
    """Every route, and every action, each at its newest microversion."""
    for service in SERVICES:
        for route in service.routes:
            if route.actions:
                yield from _actions(service, route)
            elif route.min <= MAX:  # others wait for a newer microversion to be served
                yield _route(service, route)


def _route(service: Service, route: Route) -> Target:
    what = f"{route.method} {service.prefix}{route.path}"
    raw = RAW.get((route.method, route.path))
    if route.whole and raw is None and route.default in (DefaultPolicy.READER, DefaultPolicy.MEMBER):
        raise AssertionError(f"tests/service/walk.py has no body for {what}: add one to RAW")
    return Target(
        route.method,
        service.prefix + route.path,
        route.default,
        str(min(route.max, MAX)),
        what,
        None if route.body is None or route.default in WITHOUT_BODY else example(route.body),
        *(raw or (None, "application/json")),
        query=route.query,
    )


def _actions(service: Service, route: Route) -> Iterator[Target]:
    for name, actions in route.actions.items():
        for one in actions:
            version = str(min(one.max, MAX))
            body = {name: None} if one.default in WITHOUT_BODY else example(one.body)
            yield Target(route.method, service.prefix + route.path, one.default, version, f"action {name}", body)


def example(model: type[BaseModel]) -> Any:
    """A small body that the model takes."""
    schema = model.model_json_schema(by_alias=True)
    made = BODIES.get(model.__name__) or _example(schema, schema.get("$defs", {}))
    try:
        validated_value(model, made)
    except InvalidInput as exc:
        raise AssertionError(
            f"{made} is no {model.__name__} ({exc}): add one to BODIES in tests/service/walk.py"
        ) from exc
    return made


def _example(schema: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        return _example(known[schema["$ref"].rpartition("/")[2]], known)
    if "const" in schema or "enum" in schema:
        return schema.get("const", next(iter(schema.get("enum", ())), None))
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return _example(next(one for one in schema[several] if one.get("type") != "null"), known)
    match schema.get("type"):
        case "object":
            made = {name: _example(schema["properties"][name], known) for name in schema.get("required", ())}
            if not made and "properties" not in schema:
                patterns = schema.get("patternProperties") or {"": schema.get("additionalProperties")}
                made = {_text({"pattern": one}): _example(form or {}, known) for one, form in patterns.items()}
            return made
        case "array":
            return [_example(schema["items"], known) for _ in range(schema.get("minItems", 0))]
        case "string":
            return _text(schema)
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case _:
            return None


def _text(schema: Mapping[str, Any]) -> str:
    pattern = schema.get("pattern", "")
    for text in ("example", UNKNOWN_UUID, "1", "192.0.2.1", "2026-01-01T00:00:00Z"):
        if re.search(pattern, text) and schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", 1 << 20):
            return text
    raise AssertionError(f"tests/service/walk.py knows no text for {schema}: add one to _text")
