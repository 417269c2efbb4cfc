# SPDX-License-Identifier: Apache-2.0
"""The self-description of Image v2: the JSON schemas of its resources, and the methods of image import.

Source: Image service API v2 reference, "Image Schemas", "Import".
"""

from collections.abc import Mapping
from typing import NotRequired

from typing_extensions import TypedDict

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import OMIT, EmptyList, Member, View
from kilonova.api.image.view import FIELDS

Schema = Mapping[str, object]


class ResourceSchema(TypedDict):
    """The JSON schema of a resource or of a list.  `links` is always empty."""

    name: str
    properties: Schema
    additionalProperties: NotRequired[Schema]
    links: NotRequired[list[object]]


def _image() -> ResourceSchema:
    text: Schema = {"type": ["null", "string"]}
    number: Schema = {"type": ["null", "integer"]}
    kinds: dict[str, Schema] = dict.fromkeys(sorted(FIELDS), text)
    kinds |= dict.fromkeys(("size", "virtual_size", "min_disk", "min_ram"), number)
    flag: Schema = {"type": "boolean"}
    kinds |= dict.fromkeys(("protected", "os_hidden"), flag)
    kinds["tags"] = {"type": "array", "items": {"type": "string"}}
    return {"name": "image", "properties": kinds, "additionalProperties": {"type": "string"}, "links": []}


def _member() -> ResourceSchema:
    names = ("member_id", "image_id", "status", "created_at", "updated_at", "schema")
    return {"name": "member", "properties": {name: {"type": "string"} for name in names}}


def _list(name: str, of: ResourceSchema) -> ResourceSchema:
    return {"name": name, "properties": {name: {"type": "array", "items": of}}, "links": []}


async def show_image_schema(call: Call) -> Reply:
    """Show the JSON schema of an image."""
    return _SCHEMA.reply(_image(), call)


async def show_images_schema(call: Call) -> Reply:
    """Show the JSON schema of a list of images."""
    return _SCHEMA.reply(_list("images", _image()), call)


async def show_member_schema(call: Call) -> Reply:
    """Show the JSON schema of an image member."""
    return _SCHEMA.reply(_member(), call)


async def show_members_schema(call: Call) -> Reply:
    """Show the JSON schema of a list of image members."""
    return _SCHEMA.reply(_list("members", _member()), call)


async def show_import(call: Call) -> Reply:
    """List the methods of image import: none.  Data is uploaded with PUT."""
    return _IMPORT.reply({"description": "Import methods available.", "type": "array", "value": []}, call)


class ImportMethods(TypedDict):
    """The methods of image import."""

    description: str
    type: str
    value: EmptyList


def _additional(schema: ResourceSchema, _: Call) -> object:
    return schema.get("additionalProperties", OMIT)


M = Member[ResourceSchema, Call]
_SCHEMA = View(
    "",
    M("name", str, lambda schema, _: schema["name"]),
    M("properties", dict[str, object], lambda schema, _: schema["properties"]),
    M("additionalProperties", dict[str, object], _additional, optional=True),
    M("links", EmptyList, lambda schema, _: schema.get("links", OMIT), optional=True),
)
_IMPORT = View[ImportMethods, Call]("", Member("import-methods", ImportMethods, lambda methods, _: methods))
_READER, _RULE = DefaultPolicy.READER, "get_schemas"

ROUTES = (
    Route("GET", "/info/import", show_import, _RULE, _READER, reply=_IMPORT),
    Route("GET", "/schemas/image", show_image_schema, _RULE, _READER, reply=_SCHEMA),
    Route("GET", "/schemas/images", show_images_schema, _RULE, _READER, reply=_SCHEMA),
    Route("GET", "/schemas/member", show_member_schema, _RULE, _READER, reply=_SCHEMA),
    Route("GET", "/schemas/members", show_members_schema, _RULE, _READER, reply=_SCHEMA),
)
