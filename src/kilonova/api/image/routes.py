# SPDX-License-Identifier: Apache-2.0
"""The routes of Image v2, with the names of Glance's policies."""

from kilonova.api.http.route import DefaultPolicy, Route, Service
from kilonova.api.image import image_data, images, listing, members, upload_quota
from kilonova.api.image.fields import ImageFields
from kilonova.api.versions import image_list

READER, MEMBER = DefaultPolicy.READER, DefaultPolicy.MEMBER

MEMBERS = "/images/{image_id}/members"

ROUTES = (
    Route("GET", "", image_list, "versions", DefaultPolicy.ANYBODY, note="{versions: [...]}"),
    Route(
        "GET",
        "/images",
        listing.list_images,
        "get_images",
        READER,
        note="{images: [...], first, next, schema}; any property filters, too",
        query=listing.ARGUMENTS,
    ),
    Route(
        "POST",
        "/images",
        images.create,
        "add_image",
        MEMBER,
        201,
        note="the image, and Location",
        whole=True,
        shape=ImageFields,
    ),
    Route("GET", "/images/{image_id}", images.show, "get_image", READER, note="the image"),
    Route(
        "PATCH",
        "/images/{image_id}",
        images.update,
        "modify_image",
        MEMBER,
        note="the image",
        whole=True,
        shape=images.PATCH_SHAPE,
        accepts=images.PATCH_TYPE,
    ),
    Route("DELETE", "/images/{image_id}", images.delete, "delete_image", MEMBER, 204),
    Route("PUT", "/images/{image_id}/file", image_data.upload, "upload_image", MEMBER, 204, accepts=image_data.OCTETS),
    Route(
        "GET",
        "/images/{image_id}/file",
        image_data.download,
        "download_image",
        READER,
        note="the bytes; 206: those that Range names; 204: none yet",
        also=(204, 206),
        gives=image_data.OCTETS,
    ),
    Route("PUT", "/images/{image_id}/tags/{tag}", images.add_tag, "modify_image", MEMBER, 204),
    Route("DELETE", "/images/{image_id}/tags/{tag}", images.delete_tag, "modify_image", MEMBER, 204),
    Route("POST", "/images/{image_id}/actions/deactivate", images.deactivate, "deactivate", MEMBER, 204),
    Route("POST", "/images/{image_id}/actions/reactivate", images.reactivate, "reactivate", MEMBER, 204),
    Route("GET", "/images/{image_id}/tasks", images.list_tasks, "get_image", READER, note="{tasks: []}"),
    Route("GET", MEMBERS, members.list_members, "get_members", READER, note="{members: [...]}"),
    Route("POST", MEMBERS, members.add_member, "add_member", MEMBER, note="the member", body=members.NewMember),
    Route("GET", MEMBERS + "/{member_id}", members.show_member, "get_member", READER, note="the member"),
    Route(
        "PUT",
        MEMBERS + "/{member_id}",
        members.update_member,
        "modify_member",
        MEMBER,
        note="the member",
        body=members.MemberChange,
    ),
    Route("DELETE", MEMBERS + "/{member_id}", members.delete_member, "delete_member", MEMBER, 204),
    Route("GET", "/info/import", images.show_import, "get_schemas", READER, note="{import-methods}: none"),
    Route(
        "GET", "/info/usage", upload_quota.show_usage, "get_images", READER, note="{usage: {image_count_total, ...}}"
    ),
    Route("GET", "/schemas/image", images.show_schema, "get_schemas", READER, note="a JSON schema"),
    Route("GET", "/schemas/images", images.list_schema, "get_schemas", READER, note="a JSON schema"),
    Route("GET", "/schemas/member", images.show_member_schema, "get_schemas", READER, note="a JSON schema"),
    Route("GET", "/schemas/members", images.list_member_schema, "get_schemas", READER, note="a JSON schema"),
)

SERVICE = Service("/image/v2", ROUTES)
