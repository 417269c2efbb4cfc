# SPDX-License-Identifier: Apache-2.0
"""docs/api.md: every route and every action for people, made from the rows and the models of their bodies."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kilonova.api.http.call import JSON
from kilonova.api.http.microversion import MAX, MIN, Microversion
from kilonova.api.http.route import Alternative, Row, Service
from kilonova.api.http.schemas import Models, Schema, query_parameters

_WORDS = {"minimum": "from {}", "exclusiveMinimum": "over {}", "maximum": "to {}", "format": "{}"}


def markdown(services: Iterable[Service]) -> str:
    """A section per service: its routes in a table, then what they take."""
    services = tuple(services)
    models = Models(row for service in services for row in service.rows)
    lines = ["# The HTTP API", "", *_INTRODUCTION, ""]
    for service in services:
        lines += _section(service, models)
    return "\n".join(lines).rstrip() + "\n"


_INTRODUCTION = (
    "Every route of every service in one process, and every action of servers. The role is what a row asks of its",
    "caller (anybody: no token; token: any) unless a policy file says otherwise ([policy.md](policy.md)). Bodies are",
    "JSON unless something else is said. Members that are not named here are refused by Compute. A 4xx answer means",
    "that nothing was changed.",
    "",
    "The same for programs is `GET /openapi.json`, an OpenAPI 3.1 document; `?microversion=2.N` describes another",
    f"microversion of Compute than {MAX}. Faults are one object under one key: in Compute and Image by the kind",
    "(`badRequest`, `itemNotFound`, `conflictingRequest`, ...: `{code, message}`), in Identity and for every 401",
    "`error`, in Network `NeutronError`. A 400 names the field by its path; a 503 says `Retry-After`, and that nothing",
    "was done; a 504 says that nobody knows whether it was. A create of servers may bear an `Idempotency-Key`. Both",
    "are in [http.md](http.md).",
)


def _section(service: Service, models: Models) -> list[str]:
    lines = [f"## `{service.prefix or '/'}`", ""]
    if service.microversions:
        lines += [f"Microversions {MIN} to {MAX}.", ""]
    lines += ["| method | path | role | code | since | until | answer | policy |", "|" + "---|" * 8]
    lines += [_line(row) for row in service.rows]
    lines.append("")
    for row in service.rows:
        lines += _details(row, models)
    return lines


def _line(row: Row) -> str:
    codes = ", ".join(map(str, (row.success, *row.also)))
    return (
        f"| {row.method} | `{row.path or '/'}` | {row.role.name.lower()} | {codes} | {_since(row.min)} "
        f"| {_until(row.max)} | {row.reply or 'no body'} | {row.rule} |"
    )


def _since(version: Microversion) -> str:
    return "" if version == MIN else str(version)


def _until(version: Microversion) -> str:
    return "" if version >= MAX else str(version)


def _details(row: Row, models: Models) -> list[str]:
    """What a row takes besides its path; nothing for most."""
    said = [*_arguments(row), *_body(row, models)]
    if not said:
        return []
    versions = f" ({_since(row.min) or MIN} to {_until(row.max) or MAX})" if (row.min, row.max) != (MIN, MAX) else ""
    return [f"### {row.method} `{row.path or '/'}`{versions}", "", *said]


def _arguments(row: Row) -> list[str]:
    if not row.query:
        return []
    named = [f"`{one['name']}`{_hint(one['schema'])}" for one in query_parameters(row)]
    strict = f"; from {row.strict} on others are refused" if row.strict else "; others are ignored"
    return [f"Query arguments: {', '.join(named)}{strict}.", ""]


def _hint(schema: Schema) -> str:
    words = _kind(schema)
    return "" if words == "text" else f" ({words})"


def _body(row: Row, models: Models) -> list[str]:
    if row.actions:
        return _actions(row, models)
    schema = row.body or row.shape
    if schema is None:
        return [] if row.accepts == JSON else [f"The body is `{row.accepts}`.", ""]
    known = models.reference(schema) if isinstance(schema, type) else dict(schema)
    media = [] if row.accepts == JSON else [f"The body is `{row.accepts}`.", ""]
    return [*media, "| field | type and limits | |", "|---|---|---|", *_fields(known, models), ""]


def _fields(schema: Schema, models: Models) -> list[str]:
    return [f"| `{field.path}` | {field.kind} | {field.notes} |" for field in fields(schema, models)]


def _actions(row: Row, models: Models) -> list[str]:
    lines = ["| action | role | code | since | until | policy | fields |", "|" + "---|" * 7]
    lines += [_action(name, one, models) for name, ones in sorted(row.actions.items()) for one in ones]
    return [*lines, ""]


def _action(name: str, one: Alternative, models: Models) -> str:
    taken = [f for f in fields(models.reference(one.body), models) if f.path != name or f.kind != "anything"]
    said = "<br>".join(f"`{field.path}`: {field.kind}{', ' + field.notes if field.notes else ''}" for field in taken)
    return (
        f"| `{name}` | {one.role.name.lower()} | {one.success} | {_since(one.min)} | {_until(one.max)} "
        f"| {one.rule} | {said or 'none'} |"
    )


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a body.  `path` as refusals name it; [] stands for an entry of a list, * for any name."""

    path: str
    kind: str
    notes: str


def fields(schema: Schema, models: Models, path: str = "") -> Iterator[Field]:
    """Every member of a body, those of members included, in their order."""
    schema = _plain(models.resolved(schema), models)
    required = frozenset(schema.get("required", ()))
    members: dict[str, Schema] = schema.get("properties", {})
    for name, member in members.items():
        below = f"{path}.{name}" if path else name
        one = _plain(member, models)
        notes = [word for word in ("required" if name in required else "", _from(member), _said(member)) if word]
        if not one.get("properties"):
            yield Field(below, _kind(member, models), ", ".join(notes))
        yield from fields(one, models, below)
    if isinstance(schema.get("items"), dict):
        yield from fields(schema["items"], models, f"{path}[]")


def _from(member: Schema) -> str:
    return f"since {member['x-since']}" if "x-since" in member else ""


def _said(member: Schema) -> str:
    return member.get("description", "") if "$ref" not in member else ""


def _plain(schema: Schema, models: Models) -> Schema:
    """What a schema is besides null, with references followed."""
    schema = models.resolved(schema)
    choices = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return {**schema, **models.resolved(choices[0])} if len(choices) == 1 else schema


def _kind(schema: Schema, models: Models | None = None) -> str:
    """A schema in a few words: `text, 1 to 255 characters, or null`."""
    if models is not None:
        schema = models.resolved(schema)
    if "anyOf" in schema:
        return " or ".join(_kind(one, models) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{word}`" for word in schema.get("enum", [schema.get("const")]))
    kind: str = schema.get("type", "anything")
    names = {
        "string": "text",
        "array": "list",
    }
    words: list[str] = [names.get(kind, kind), *_limits(schema)]
    if kind == "array" and schema.get("items"):
        words[0] = f"list of {_kind(schema['items'], models)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        words[0] = f"object of {_kind(schema['additionalProperties'], models)}"
    return ", ".join(words)


def _limits(schema: Schema) -> Iterator[str]:
    for unit, least, most in (("characters", "minLength", "maxLength"), ("entries", "minItems", "maxItems")):
        if most in schema:
            yield f"{schema.get(least, 0)} to {schema[most]} {unit}"
    for word, said in _WORDS.items():
        if word in schema:
            yield said.format(schema[word])
    if "pattern" in schema:
        yield f"`{schema['pattern']}`".replace("|", "\\|")
