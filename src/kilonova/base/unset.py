# SPDX-License-Identifier: Apache-2.0
"""A field that a request omits, as distinct from a field that it sets to null (PATCH semantics).

    @dataclass(frozen=True, slots=True)
    class UpdateServer:
        name: OrUnset[str] = UNSET
        description: OrUnset[str | None] = UNSET

Pydantic omits an unset field when it serializes, and restores UNSET when the field is absent.
"""

from dataclasses import fields
from enum import Enum
from typing import Annotated, Any, TypeVar

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")


class Unset(Enum):
    """The type of UNSET.  An enum with one member, so that type checkers narrow `value is not UNSET`."""

    UNSET = "unset"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNSET"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """No serialized value stands for UNSET: the string "unset" is an ordinary string."""
        return core_schema.no_info_plain_validator_function(_only_unset)


UNSET = Unset.UNSET


def _only_unset(value: object) -> Unset:
    if value is not UNSET:
        raise ValueError("only an absent field is unset")
    return UNSET


def _is_unset(value: object) -> bool:
    return value is UNSET


OrUnset = Annotated[T | Unset, Field(exclude_if=_is_unset)]
"""The type of a field that a request may leave out; its default is UNSET."""


def unset_if_none(value: T | None) -> T | Unset:
    """UNSET for None: for a client's field that means "no change" both when it is absent and when it is null."""
    return UNSET if value is None else value


def given(request: Any) -> dict[str, Any]:
    """The changes that a request makes: of the dataclass's fields with UNSET as default those that are set, by name."""
    values = {field.name: getattr(request, field.name) for field in fields(request) if field.default is UNSET}
    return {name: value for name, value in values.items() if value is not UNSET}
