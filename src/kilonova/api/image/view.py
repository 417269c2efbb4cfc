# SPDX-License-Identifier: Apache-2.0
"""Images as Image v2 shows them: properties are flat beside the fields."""

from kilonova.api.http.call import Call
from kilonova.api.http.times import seconds_z
from kilonova.api.http.views import Member, Others, View
from kilonova.objects.image import Image

M = Member[Image, Call]
IMAGE = View(
    "Image",
    M("id", str, lambda image, _: image.id),
    M("name", str | None, lambda image, _: image.name),
    M("status", str, lambda image, _: image.status),
    M("visibility", str, lambda image, _: image.visibility),
    M("owner", str, lambda image, _: image.owner),
    M("size", int | None, lambda image, _: image.size),
    M("virtual_size", int | None, lambda image, _: image.virtual_size),
    M("checksum", str | None, lambda image, _: image.checksum),
    M("os_hash_algo", str | None, lambda image, _: None if image.os_hash_value is None else "sha512"),
    M("os_hash_value", str | None, lambda image, _: image.os_hash_value),
    M("container_format", str | None, lambda image, _: image.container_format),
    M("disk_format", str | None, lambda image, _: image.disk_format),
    M("min_disk", int, lambda image, _: image.min_disk),
    M("min_ram", int, lambda image, _: image.min_ram),
    M("protected", bool, lambda image, _: image.protected),
    M("os_hidden", bool, lambda image, _: image.os_hidden),
    M("tags", list[str], lambda image, _: list(image.tags)),
    M("created_at", str, lambda image, _: seconds_z(image.created_at)),
    M("updated_at", str, lambda image, _: seconds_z(image.updated_at)),
    M("self", str, lambda image, _: f"/v2/images/{image.id}"),
    M("file", str, lambda image, _: f"/v2/images/{image.id}/file"),
    M("schema", str, lambda _, __: "/v2/schemas/image"),
    others=Others(str, lambda image, _: image.properties),
)
"""An image.  Links are paths below the service's root, as Glance sends them."""

FIELDS = frozenset(member.name for member in IMAGE.members)
"""Names of fields, which properties cannot have."""
