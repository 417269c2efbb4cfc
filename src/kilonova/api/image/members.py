# SPDX-License-Identifier: Apache-2.0
"""Sharing an image with other projects: /images/{id}/members.

The owner adds members; each member decides whether its lists show the image.  An image that is not `shared` shows no
members; they are kept and return when it is shared again.

Source: Image service API v2 reference, "Sharing".
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kilonova.api.http.body import Lenient
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.times import seconds_z
from kilonova.api.image.images import find
from kilonova.base.errors import Forbidden, InvalidInput, NotFound
from kilonova.db.readers import images as read_images
from kilonova.objects.image import Image, ImageMember, MemberStatus
from kilonova.rpcapi.api_to_conductor import DELETE_IMAGE_MEMBER, PUT_IMAGE_MEMBER, DeleteImageMember, PutImageMember

MOST = 128
"""The most members of an image, as in Glance."""
LONGEST_ID = 64


class NewMember(Lenient):
    """A project's id, which is not checked: the project may not exist."""

    member: str


class MemberChange(Lenient):
    status: str


async def _shared(call: Call) -> Image:
    """The image of the path.  Raises NotFound, Forbidden (the image is not shared)."""
    image = await find(call)
    if image.visibility != "shared":
        raise Forbidden("Only shared images have members.")
    return image


def _is_owner(call: Call, image: Image) -> bool:
    return call.context.is_admin or image.owner == call.context.project_id


async def _visible_members(call: Call, image: Image) -> Sequence[ImageMember]:
    """The owner and administrators see all members; a member sees only itself."""
    found = await call.db.read(read_images.image_members_of, image.id)
    return [one for one in found if _is_owner(call, image) or one.project_id == call.context.project_id]


async def _member(call: Call, image: Image) -> ImageMember:
    """The member of the path.  Raises NotFound."""
    member_id = call.params["member_id"]
    for one in await _visible_members(call, image):
        if one.project_id == member_id:
            return one
    raise NotFound(f"{member_id[:255]} not found in the member list of the image {image.id}.")


async def list_members(call: Call) -> Reply:
    """List the members of a shared image."""
    members = [_view(one) for one in await _visible_members(call, await _shared(call))]
    return json_reply({"members": members, "schema": "/v2/schemas/members"})


async def show_member(call: Call) -> Reply:
    """Show a member of an image."""
    return json_reply(_view(await _member(call, await find(call))))


async def add_member(call: Call, body: NewMember) -> Reply:
    """Share an image with a project.  The member can use it; its lists show it after the member accepts."""
    image = await _shared(call)
    if not _is_owner(call, image):
        raise Forbidden(f"Not allowed to create members for image {image.id}.")
    if not 0 < len(body.member) <= LONGEST_ID:
        raise InvalidInput(f"A project's id has 1 to {LONGEST_ID} characters.", path="member")
    now = call.deps.clock.now()
    member = ImageMember(image.id, body.member, MemberStatus.PENDING, now, now)
    await call.deps.rpc.call(PUT_IMAGE_MEMBER, PutImageMember(member, new=True, most=MOST))
    return json_reply(_view(member))


async def update_member(call: Call, body: MemberChange) -> Reply:
    """Accept or reject a shared image.  Only the member itself, or an administrator, can change the status."""
    image = await _shared(call)
    if image.owner == call.context.project_id and not call.context.is_admin:
        raise Forbidden(f"Not allowed to update members for image {image.id}: only the member can change its status.")
    member = await _member(call, image)
    if body.status not in {str(status) for status in MemberStatus}:
        raise InvalidInput(f"The status is one of {', '.join(MemberStatus)}.", path="status")
    changed = replace(member, status=MemberStatus(body.status), updated_at=call.deps.clock.now())
    await call.deps.rpc.call(PUT_IMAGE_MEMBER, PutImageMember(changed, new=False, most=MOST))
    return json_reply(_view(changed))


async def delete_member(call: Call) -> Reply:
    """Remove a member.  Servers that it created from the image remain."""
    image = await _shared(call)
    if not _is_owner(call, image):
        raise Forbidden(f"Not allowed to delete members for image {image.id}.")
    member = await _member(call, image)
    await call.deps.rpc.call(DELETE_IMAGE_MEMBER, DeleteImageMember(image.id, member.project_id))
    return Reply()


def _view(member: ImageMember) -> dict[str, Any]:
    return {
        "member_id": member.project_id,
        "image_id": member.image_id,
        "status": member.status,
        "created_at": seconds_z(member.created_at),
        "updated_at": seconds_z(member.updated_at),
        "schema": "/v2/schemas/member",
    }
