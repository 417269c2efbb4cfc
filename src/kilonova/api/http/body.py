# SPDX-License-Identifier: Apache-2.0
"""Request bodies: read within a limit, validated strictly, refused with the field's path."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError, from_json

from kilonova.api.http.microversion import Microversion
from kilonova.base.errors import InvalidInput, TooLarge


def _note_since(schema: dict[str, Any], model: "type[Body]") -> None:
    for name, version in model.since.items():
        schema["properties"][model.model_fields[name].alias or name]["x-since"] = str(version)
    for name, version in model.until.items():
        schema["properties"][model.model_fields[name].alias or name]["x-until"] = str(version)


class Body(BaseModel):
    """Base of all request models: strict types, no unknown members.

    `since` has the members that came with a later microversion, and `until` the last microversion of members that were
    removed; in other microversions these members are unknown.  Models are built when they are first used, so the start
    of the service builds none.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True, json_schema_extra=_note_since)

    since: ClassVar[Mapping[str, Microversion]] = {}
    until: ClassVar[Mapping[str, Microversion]] = {}

    @model_validator(mode="after")
    def _only_members_of_the_version(self, info: ValidationInfo) -> Self:
        version: Microversion | None = info.context
        if version is not None and (self.since or self.until):
            for name in self.model_fields_set:
                if not self.since.get(name, version) <= version <= self.until.get(name, version):
                    raise unexpected(name)
        return self


class Lenient(BaseModel):
    """Base of models of an API that ignores unknown members (Identity)."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, defer_build=True)


M = TypeVar("M", bound=BaseModel)


def unexpected(name: str) -> PydanticCustomError:
    """The refusal of an unknown member, in the words of Nova's schemas."""
    return PydanticCustomError(
        "additional", "Additional properties are not allowed ('{name}' was unexpected)", {"name": name}
    )


async def read_limited(chunks: AsyncIterator[bytes], headers: Mapping[str, str], limit: int) -> bytes:
    """The whole body.  Raises TooLarge as soon as it exceeds `limit` bytes: by its Content-Length before it is read,
    otherwise at the first chunk beyond the limit."""
    check_declared_length(headers, limit)
    parts: list[bytes] = []
    total = 0
    async for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise _too_large(limit)
        parts.append(chunk)
    return b"".join(parts)


def check_declared_length(headers: Mapping[str, str], limit: int) -> None:
    """Raises TooLarge when Content-Length is over `limit` bytes."""
    if (declared_length(headers) or 0) > limit:
        raise _too_large(limit)


def declared_length(headers: Mapping[str, str]) -> int | None:
    """Bytes of the body, by Content-Length; None without a valid one."""
    declared = headers.get("content-length", "")
    return int(declared[:20]) if declared.isascii() and declared.isdigit() else None


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request body is larger than the limit of {limit} bytes.", limit=limit)


def validated(model: type[M], data: bytes, version: Microversion | None = None) -> M:
    """The body as a model.  Raises InvalidInput with the first invalid field."""
    try:
        return model.model_validate_json(data, context=version)
    except ValidationError as exc:
        raise refusal(exc) from exc


def validated_value(model: type[M], value: Any, version: Microversion | None = None) -> M:
    """Like `validated`, for JSON that is already decoded."""
    try:
        return model.model_validate(value, context=version)
    except ValidationError as exc:
        raise refusal(exc) from exc


def json_object(data: bytes) -> dict[str, Any]:
    """A JSON object, not validated.  Raises InvalidInput for anything else."""
    try:
        value = from_json(data)
    except ValueError as exc:
        raise InvalidInput("Malformed request body: it is not JSON.") from exc
    if not isinstance(value, dict):
        raise InvalidInput("Malformed request body: it is not a JSON object.")
    return value


_NUL = "\0"
_NUL_IN_JSON = b"\\u0000"
NUL_IS_REFUSED = "The character U+0000 is not allowed."
"""PostgreSQL cannot store this character in a text, so no API accepts it, on any database."""


def refuse_nul(data: bytes) -> None:
    """Raises InvalidInput, with the path, for JSON with the character U+0000 in a text.  JSON that is malformed is left
    to the validation."""
    if _NUL_IN_JSON not in data:
        return
    try:
        path = _path_to_nul(from_json(data), ())
    except ValueError:
        return
    if path is not None:
        where = ".".join(part[:64] for part in path)
        raise InvalidInput(f"Invalid input for field/attribute {where}. {NUL_IS_REFUSED}", path=where)


def _path_to_nul(value: Any, path: tuple[str, ...]) -> tuple[str, ...] | None:
    """The path of the first text with U+0000; for the name of a member, the path of the object."""
    if isinstance(value, str):
        return path if _NUL in value else None
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        found = path if _NUL in str(name) else _path_to_nul(member, (*path, str(name)))
        if found is not None:
            return found
    return None


def refusal(exc: ValidationError) -> InvalidInput:
    """The first error in one sentence.  It does not repeat values, which may be secrets."""
    first = exc.errors(include_url=False, include_context=True, include_input=False)[0]
    if first["type"] == "json_invalid":
        return InvalidInput("Malformed request body: it is not JSON.")
    path = ".".join(str(part)[:64] for part in first["loc"])
    where = f"Invalid input for field/attribute {path}. " if path else "Invalid input. "
    return InvalidInput(f"{where}{_words(first)}", path=path)


def _words(error: ErrorDetails) -> str:
    name = str(error["loc"][-1])[:64] if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        return f"Additional properties are not allowed ('{name}' was unexpected)"
    if error["type"] == "missing":
        return f"'{name}' is a required property"
    return error["msg"]
