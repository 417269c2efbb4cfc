# SPDX-License-Identifier: Apache-2.0
"""docs/api.md: every route and every action, made from the routes, the models of bodies and the views of answers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kilonova.api.http.call import JSON
from kilonova.api.http.microversion import MAX, MIN, Microversion
from kilonova.api.http.reply_reference import answer_words, tables
from kilonova.api.http.route import Alternative, Route, Service
from kilonova.api.http.schema_words import words_of
from kilonova.api.http.schemas import Models, Schema, query_parameters


def markdown(services: Iterable[Service]) -> str:
    """A section per service: a table of its routes, then their arguments and bodies; at the end the views."""
    services = tuple(services)
    models = Models(route for service in services for route in service.routes)
    lines = ["# The HTTP API", "", *_INTRODUCTION, ""]
    for service in services:
        lines += _section(service, models)
    lines += tables(route for service in services for route in service.routes)
    return "\n".join(lines).rstrip() + "\n"


_INTRODUCTION = (
    "Every route of every service, and every action. The default policy says who may use a route (anybody: no token",
    "needed; token: any token); a policy file can change it ([policy.md](policy.md)). Bodies are JSON unless another",
    "media type is named. Compute refuses members that are not listed here. A 4xx answer means that nothing was",
    "changed.",
    "",
    "The machine-readable form is `GET /openapi.json`, an OpenAPI 3.1 document; `?microversion=2.N` describes a",
    f"microversion of Compute other than {MAX}. A fault is one object under one key: in Compute and Image the key",
    "names the kind (`badRequest`, `itemNotFound`, `conflictingRequest`, ...: `{code, message}`); in Identity, and for",
    "every 401, it is `error`; in Network `NeutronError`. A 400 names the field by its path. A 503 has `Retry-After`",
    "and means that nothing was done. A 504 means that the outcome is unknown. A create of servers may have an",
    "`Idempotency-Key`; [http.md](http.md) describes both.",
)


def _section(service: Service, models: Models) -> list[str]:
    lines = [f"## `{service.prefix or '/'}`", ""]
    if service.microversions:
        lines += [f"Microversions {MIN} to {MAX}.", ""]
    lines += ["| method | path | default policy | code | since | until | answer | policy |", "|" + "---|" * 8]
    lines += [_line(route) for route in service.routes]
    lines.append("")
    for route in service.routes:
        lines += _details(route, models)
    return lines


def _line(route: Route) -> str:
    codes = ", ".join(map(str, (route.success, *route.also)))
    return (
        f"| {route.method} | `{route.path or '/'}` | {route.default.name.lower()} | {codes} | {_since(route.min)} "
        f"| {_until(route.max)} | {_answer(route)} | {route.rule} |"
    )


def _answer(route: Route) -> str:
    words = [] if route.actions else [answer_words(route.reply) if route.gives == JSON else f"`{route.gives}`"]
    return "; ".join([*words, *([route.note] if route.note else [])])


def _since(version: Microversion) -> str:
    return "" if version == MIN else str(version)


def _until(version: Microversion) -> str:
    return "" if version >= MAX else str(version)


def _details(route: Route, models: Models) -> list[str]:
    """The arguments and the body of a route; nothing for most."""
    details = [*_arguments(route), *_body(route, models)]
    if not details:
        return []
    versions = (
        f" ({_since(route.min) or MIN} to {_until(route.max) or MAX})" if (route.min, route.max) != (MIN, MAX) else ""
    )
    return [f"### {route.method} `{route.path or '/'}`{versions}", "", *details]


def _arguments(route: Route) -> list[str]:
    if not route.query:
        return []
    named = [f"`{one['name']}`{_hint(one['schema'])}" for one in query_parameters(route)]
    strict = f"; from {route.strict} on others are refused" if route.strict else "; others are ignored"
    return [f"Query arguments: {', '.join(named)}{strict}.", ""]


def _hint(schema: Schema) -> str:
    words = words_of(schema)
    return "" if words == "text" else f" ({words})"


def _body(route: Route, models: Models) -> list[str]:
    if route.actions:
        return _actions(route, models)
    schema = route.body or route.shape
    if schema is None:
        return [] if route.accepts == JSON else [f"The body is `{route.accepts}`.", ""]
    known = models.reference(schema) if isinstance(schema, type) else dict(schema)
    media = [] if route.accepts == JSON else [f"The body is `{route.accepts}`.", ""]
    return [*media, "| field | type and limits | |", "|---|---|---|", *_fields(known, models), ""]


def _fields(schema: Schema, models: Models) -> list[str]:
    return [f"| `{field.path}` | {field.kind} | {field.notes} |" for field in fields(schema, models)]


def _actions(route: Route, models: Models) -> list[str]:
    lines = ["| action | default policy | code | since | until | policy | fields | answer |", "|" + "---|" * 8]
    lines += [_action(name, one, models) for name, ones in sorted(route.actions.items()) for one in ones]
    return [*lines, ""]


def _action(name: str, one: Alternative, models: Models) -> str:
    shown = [f for f in fields(models.reference(one.body), models) if f.path != name or f.kind != "anything"]
    members = "<br>".join(f"`{field.path}`: {field.kind}{', ' + field.notes if field.notes else ''}" for field in shown)
    return (
        f"| `{name}` | {one.default.name.lower()} | {one.success} | {_since(one.min)} | {_until(one.max)} "
        f"| {one.rule} | {members or 'none'} | {answer_words(one.reply)} |"
    )


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a body.  `path` as in error messages; [] stands for an entry of a list."""

    path: str
    kind: str
    notes: str


def fields(schema: Schema, models: Models, path: str = "") -> Iterator[Field]:
    """Every member of a body in order, also the members of members."""
    schema = _plain(models.resolved(schema), models)
    required = frozenset(schema.get("required", ()))
    members: dict[str, Schema] = schema.get("properties", {})
    for name, member in members.items():
        below = f"{path}.{name}" if path else name
        one = _plain(member, models)
        notes = [word for word in ("required" if name in required else "", _from(member), _description(member)) if word]
        if not one.get("properties"):
            yield Field(below, words_of(member, models), ", ".join(notes))
        yield from fields(one, models, below)
    if isinstance(schema.get("items"), dict):
        yield from fields(schema["items"], models, f"{path}[]")


def _from(member: Schema) -> str:
    return f"since {member['x-since']}" if "x-since" in member else ""


def _description(member: Schema) -> str:
    return member.get("description", "") if "$ref" not in member else ""


def _plain(schema: Schema, models: Models) -> Schema:
    """A schema without the choice of null, references followed."""
    schema = models.resolved(schema)
    choices = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return {**schema, **models.resolved(choices[0])} if len(choices) == 1 else schema
