# SPDX-License-Identifier: Apache-2.0
"""What a caller may set of an image: the fields, and any property that is text."""

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
"""Names that a caller may not set; `id` only when the image is made, `owner` then and by an administrator."""

RESERVED = "os_glance_"
"""How the names begin that are the Image service's own, which nobody may set, change or take away."""

PERMITTED = {"public": "publicize_image", "community": "communitize_image"}
"""By visibility: the rule that says who may give it to an image."""

_Text255 = Annotated[str, StringConstraints(max_length=255)]
_Number = Annotated[int, Field(ge=0, le=0x7FFFFFFF)]


class ImageFields(BaseModel):
    """Properties are the members that have no field of their own: text, and nothing else."""

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
    """The settable members of an image, flat, as a caller would have sent them."""
    fields: dict[str, Any] = {name: getattr(image, name) for name in (*_WRITABLE, *_FLAGS_AND_TAGS)}
    return {**image.properties, **fields, "tags": list(image.tags)}


def applied(image: Image, members: Mapping[str, Any], call: Call) -> Image:
    """The image with these members.  Raises InvalidInput, Forbidden (a public image needs an administrator; a property
    is reserved), TooLarge (too many properties)."""
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
    """Raises Forbidden for a member that is not the caller's to set."""
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    refuse_reserved(name)


def refuse_reserved(name: str) -> None:
    """Raises Forbidden for a property that is the Image service's own."""
    if name.startswith(RESERVED):
        raise Forbidden(f"Attribute '{name[:255]}' is reserved.")
