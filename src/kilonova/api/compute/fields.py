# SPDX-License-Identifier: Apache-2.0
"""Types of values in request bodies: as lenient as Nova where clients rely on it, otherwise strict."""

import re
import unicodedata
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from kilonova.api.http.body import Body
from kilonova.api.http.query import boolean_word

NAME_CHARACTERS = 255

_METADATA_KEY = re.compile(r"[a-zA-Z0-9\-_:. ]{1,255}")
_WHOLE = re.compile(r"-?\d{1,18}")


def _bad(message: str) -> PydanticCustomError:
    return PydanticCustomError("value", "{message}", {"message": message})  # pyright: ignore[reportArgumentType]


def _printable(text: str) -> str:
    # To Python a space of another script (U+3000) is not printable.
    if not all(letter.isprintable() or unicodedata.category(letter) == "Zs" for letter in text):
        raise _bad("it has characters that cannot be printed")
    return text


def _name(text: str) -> str:
    _printable(text)
    if text != text.strip():
        raise _bad("leading or trailing blanks are not allowed")
    return text


def _boolean(value: Any) -> bool:
    word = boolean_word(value)
    if word is None:
        raise _bad("it is not a boolean")
    return word


def _boolean_or_nothing(value: Any) -> bool:
    return False if value is None or value == "" else _boolean(value)


def _whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    raise _bad("it is not an integer")


def _address_of(kind: type[IPv4Address] | type[IPv6Address]) -> BeforeValidator:
    def normal(value: Any) -> str:
        text = str(value)
        try:
            if "%" in text:  # an IPv6 zone is local to one host
                raise ValueError(text)
            return str(kind(text))
        except ValueError as exc:
            raise _bad(f"it is not an {kind.__name__[:4]} address") from exc

    return BeforeValidator(normal)


def _id_text(value: Any) -> str:
    """Flavor ids that look like numbers may come as numbers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return value
    raise _bad("it is neither text nor an integer")


def _metadata(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        if _METADATA_KEY.fullmatch(key) is None:
            raise _bad(f"the key {key[:64]!r} has characters other than letters, digits, '-', '_', ':', '.' and blanks")
        if len(text) > 255:
            raise _bad(f"the value of {key!r} is longer than 255 characters")
    return value


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=NAME_CHARACTERS),
    AfterValidator(_name),
    Field(json_schema_extra={"pattern": r"^\S(.*\S)?$", "description": "printable, without blanks at its ends"}),
]
"""1 to 255 printable characters, without blanks at its ends."""
Description = Annotated[str, StringConstraints(max_length=255), AfterValidator(_printable)]
LongDescription = Annotated[str, StringConstraints(max_length=65535), AfterValidator(_printable)]
"""The description of a flavor."""
Boolean = Annotated[bool, BeforeValidator(_boolean)]
"""true, or a word for it ("True", "yes", "1", ...)."""
BooleanOrNothing = Annotated[bool, BeforeValidator(_boolean_or_nothing)]
"""A Boolean; null and "" mean false."""
Whole = Annotated[int, BeforeValidator(_whole)]
"""An integer, also as text."""
Positive = Annotated[int, Field(ge=1, le=0x7FFFFFFF), BeforeValidator(_whole)]
NotNegative = Annotated[int, Field(ge=0, le=0x7FFFFFFF), BeforeValidator(_whole)]
NumberOrText = BeforeValidator(_id_text)
IdText = Annotated[str, NumberOrText, StringConstraints(min_length=1, max_length=255)]
IPv4Text = Annotated[str, _address_of(IPv4Address)]
IPv6Text = Annotated[str, _address_of(IPv6Address)]
"""An address in its normal form."""
HostnameText = Annotated[
    str, StringConstraints(min_length=2, max_length=63, pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]$")
]
"""One label (RFC 1123)."""
AdminPassText = Annotated[
    str,
    StringConstraints(max_length=255),
    Field(json_schema_extra={"description": "in the answer, as a generated one is; the guest does not receive it"}),
]
HostText = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-._]*$")]
"""The name of a compute host or of its hypervisor."""
Metadata = Annotated[
    dict[str, str],
    AfterValidator(_metadata),
    Field(
        json_schema_extra={
            "propertyNames": {"pattern": f"^{_METADATA_KEY.pattern}$"},
            "additionalProperties": {"type": "string", "maxLength": 255},
        }
    ),
]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[^,/]*$")]
DiskConfig = Literal["AUTO", "MANUAL"]
"""OS-DCF:diskConfig.  It is stored and shown; no disk is repartitioned here."""


class AllMetadata(Body):
    """The whole metadata of a server or an image."""

    metadata: Metadata


class OneMetadata(Body):
    """One key of the metadata."""

    meta: Metadata
