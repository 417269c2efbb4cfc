# SPDX-License-Identifier: Apache-2.0
"""Members of an image that a client can set: fields, and properties with text values."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from kilonova.api.http.body import refusal
from kilonova.api.http.call import Call
from kilonova.api.image.view import FIELDS
from kilonova.base.errors import Forbidden, InvalidInput, TooLarge
from kilonova.objects.image import DISK_FORMATS, Image

MOST_PROPERTIES = 128
_WRITABLE = ("name", "visibility", "disk_format", "container_format", "min_disk", "min_ram")
_FLAGS_AND_TAGS = ("protected", "os_hidden", "tags")
SETTABLE = frozenset({*_WRITABLE, *_FLAGS_AND_TAGS})
READ_ONLY = FIELDS - SETTABLE | {"locations", "direct_url", "stores"}
"""Read-only members.  Creating an image can set `id` and `owner`; later an administrator can change `owner`."""

RESERVED = "os_glance_"
"""Prefix of the Image service's own properties, which clients cannot set, change or remove."""

PERMITTED = {"public": "publicize_image", "community": "communitize_image"}
"""Policy rules for giving an image a visibility."""

_Text255 = Annotated[str, StringConstraints(max_length=255)]
_Number = Annotated[int, Field(ge=0, le=0x7FFFFFFF)]


class ImageFields(BaseModel):
    """Members without a field are properties; their values are text."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, defer_build=True)
    __pydantic_extra__: dict[str, Annotated[str, StringConstraints(max_length=65535)]]  # pyright: ignore[reportIncompatibleVariableOverride] - pydantic's own way to type them

    name: _Text255 | None = None
    visibility: Literal["public", "community", "shared", "private"] = "shared"
    disk_format: str | None = None
    container_format: Literal["bare"] | None = None
    min_disk: _Number = 0
    min_ram: _Number = 0
    protected: bool = False
    os_hidden: bool = False
    tags: Annotated[list[_Text255], Field(max_length=MOST_PROPERTIES)] = []


def current(image: Image) -> dict[str, Any]:
    """The settable members of an image, flat, as a client sends them."""
    fields: dict[str, Any] = {name: getattr(image, name) for name in (*_WRITABLE, *_FLAGS_AND_TAGS)}
    return {**image.properties, **fields, "tags": list(image.tags)}


def applied(image: Image, members: Mapping[str, Any], call: Call) -> Image:
    """The image with these members.  Raises InvalidInput, Forbidden (the visibility needs an administrator, or a
    property is reserved), TooLarge (too many properties)."""
    try:
        fields = ImageFields.model_validate(dict(members))
    except ValidationError as exc:
        raise refusal(exc) from exc
    if fields.disk_format is not None and fields.disk_format not in DISK_FORMATS:
        raise InvalidInput(
            f"Disk format {fields.disk_format[:64]} is not supported: use {' or '.join(sorted(DISK_FORMATS))}.",
            path="disk_format",
        )
    if fields.visibility in PERMITTED and image.visibility != fields.visibility:
        call.permit(PERMITTED[fields.visibility])
    properties = fields.__pydantic_extra__
    for name in {**image.properties, **properties}:
        if properties.get(name) != image.properties.get(name):
            refuse_reserved(name)
    if len(properties) > MOST_PROPERTIES:
        raise TooLarge(f"An image has at most {MOST_PROPERTIES} properties.", limit=MOST_PROPERTIES)
    if any(len(name) > 255 or not name for name in properties):
        raise InvalidInput("The name of a property has 1 to 255 characters.", path="properties")
    values: dict[str, Any] = {name: getattr(fields, name) for name in (*_WRITABLE, *_FLAGS_AND_TAGS)}
    values["tags"] = tuple(sorted(set(fields.tags)))
    return replace(image, **values, properties=dict(properties), updated_at=call.deps.clock.now())


def refuse_read_only(name: str) -> None:
    """Raises Forbidden for a member that clients cannot set."""
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    refuse_reserved(name)


def refuse_reserved(name: str) -> None:
    """Raises Forbidden for a property of the Image service itself."""
    if name.startswith(RESERVED):
        raise Forbidden(f"Attribute '{name[:255]}' is reserved.")
