# SPDX-License-Identifier: Apache-2.0
"""The routes of Image v2, with the names of Glance's policies."""

from kilonova.api.http.route import Role, Row, Service
from kilonova.api.image import image_data as data
from kilonova.api.image import images, listing, members
from kilonova.api.image import upload_quota as room
from kilonova.api.image.fields import ImageFields
from kilonova.api.versions import image_list

READER, MEMBER = Role.READER, Role.MEMBER

MEMBERS = "/images/{image_id}/members"

ROWS = (
    Row("GET", "", image_list, "versions", Role.ANYBODY, reply="{versions: [...]}"),
    Row(
        "GET",
        "/images",
        listing.list_images,
        "get_images",
        READER,
        reply="{images: [...], first, next, schema}; any property filters, too",
        query=listing.ARGUMENTS,
    ),
    Row(
        "POST",
        "/images",
        images.create,
        "add_image",
        MEMBER,
        201,
        reply="the image, and Location",
        whole=True,
        shape=ImageFields,
    ),
    Row("GET", "/images/{image_id}", images.show, "get_image", READER, reply="the image"),
    Row(
        "PATCH",
        "/images/{image_id}",
        images.update,
        "modify_image",
        MEMBER,
        reply="the image",
        whole=True,
        shape=images.PATCH_SHAPE,
        accepts=images.PATCH_TYPE,
    ),
    Row("DELETE", "/images/{image_id}", images.delete, "delete_image", MEMBER, 204),
    Row("PUT", "/images/{image_id}/file", data.upload, "upload_image", MEMBER, 204, accepts=data.OCTETS),
    Row(
        "GET",
        "/images/{image_id}/file",
        data.download,
        "download_image",
        READER,
        reply="the bytes; 206: those that Range names; 204: none yet",
        also=(204, 206),
        gives=data.OCTETS,
    ),
    Row("PUT", "/images/{image_id}/tags/{tag}", images.add_tag, "modify_image", MEMBER, 204),
    Row("DELETE", "/images/{image_id}/tags/{tag}", images.delete_tag, "modify_image", MEMBER, 204),
    Row("POST", "/images/{image_id}/actions/deactivate", images.deactivate, "deactivate", MEMBER, 204),
    Row("POST", "/images/{image_id}/actions/reactivate", images.reactivate, "reactivate", MEMBER, 204),
    Row("GET", "/images/{image_id}/tasks", images.list_tasks, "get_image", READER, reply="{tasks: []}"),
    Row("GET", MEMBERS, members.list_members, "get_members", READER, reply="{members: [...]}"),
    Row("POST", MEMBERS, members.add_member, "add_member", MEMBER, reply="the member", body=members.NewMember),
    Row("GET", MEMBERS + "/{member_id}", members.show_member, "get_member", READER, reply="the member"),
    Row(
        "PUT",
        MEMBERS + "/{member_id}",
        members.update_member,
        "modify_member",
        MEMBER,
        reply="the member",
        body=members.MemberChange,
    ),
    Row("DELETE", MEMBERS + "/{member_id}", members.delete_member, "delete_member", MEMBER, 204),
    Row("GET", "/info/import", images.show_import, "get_schemas", READER, reply="{import-methods}: none"),
    Row("GET", "/info/usage", room.show_usage, "get_images", READER, reply="{usage: {image_count_total, ...}}"),
    Row("GET", "/schemas/image", images.show_schema, "get_schemas", READER, reply="a JSON schema"),
    Row("GET", "/schemas/images", images.list_schema, "get_schemas", READER, reply="a JSON schema"),
    Row("GET", "/schemas/member", images.show_member_schema, "get_schemas", READER, reply="a JSON schema"),
    Row("GET", "/schemas/members", images.list_member_schema, "get_schemas", READER, reply="a JSON schema"),
)

SERVICE = Service("/image/v2", ROWS)
