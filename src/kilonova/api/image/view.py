# SPDX-License-Identifier: Apache-2.0
"""Images as Image v2 shows them: properties are flat beside the fields."""

from typing import Any

from kilonova.api.http.times import seconds_z
from kilonova.objects.image import Image

FIELDS = frozenset(
    {"id", "name", "status", "visibility", "owner", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value"}
    | {"container_format", "disk_format", "min_disk", "min_ram", "protected", "os_hidden", "tags", "created_at"}
    | {"updated_at", "self", "file", "schema"}
)
"""Names of fields, which properties cannot have."""


def view(image: Image) -> dict[str, Any]:
    """An image.  Links are paths below the service's root, as Glance sends them."""
    path = f"/v2/images/{image.id}"
    return {
        **image.properties,
        "id": image.id,
        "name": image.name,
        "status": image.status,
        "visibility": image.visibility,
        "owner": image.owner,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "checksum": image.checksum,
        "os_hash_algo": None if image.os_hash_value is None else "sha512",
        "os_hash_value": image.os_hash_value,
        "container_format": image.container_format,
        "disk_format": image.disk_format,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "protected": image.protected,
        "os_hidden": image.os_hidden,
        "tags": list(image.tags),
        "created_at": seconds_z(image.created_at),
        "updated_at": seconds_z(image.updated_at),
        "self": path,
        "file": f"{path}/file",
        "schema": "/v2/schemas/image",
    }


def member_schema() -> dict[str, Any]:
    """The JSON schema of an image member."""
    names = ("member_id", "image_id", "status", "created_at", "updated_at", "schema")
    return {"name": "member", "properties": {name: {"type": "string"} for name in names}}


def schema() -> dict[str, Any]:
    """The JSON schema of an image: names and types of its fields."""
    text = {"type": ["null", "string"]}
    number = {"type": ["null", "integer"]}
    flag = {"type": "boolean"}
    kinds: dict[str, dict[str, Any]] = dict.fromkeys(sorted(FIELDS), text)
    kinds |= dict.fromkeys(("size", "virtual_size", "min_disk", "min_ram"), number)
    kinds |= dict.fromkeys(("protected", "os_hidden"), flag)
    kinds["tags"] = {"type": "array", "items": {"type": "string"}}
    return {"name": "image", "properties": kinds, "additionalProperties": {"type": "string"}, "links": []}
