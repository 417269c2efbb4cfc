# SPDX-License-Identifier: Apache-2.0
"""Sharing an image with other projects: /images/{id}/members.

The owner adds members; each member decides whether its lists show the image.  An image that is not `shared` shows no
members; they are kept and return when it is shared again.

Source: Image service API v2 reference, "Sharing".
"""

from collections.abc import Sequence
from dataclasses import replace

from kilonova.api.http.body import Lenient
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import seconds_z
from kilonova.api.http.views import ListOf, Member, View
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
    return _MEMBERS.reply(await _visible_members(call, await _shared(call)), call)


async def show_member(call: Call) -> Reply:
    """Show a member of an image."""
    return _MEMBER.reply(await _member(call, await find(call)), call)


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
    return _MEMBER.reply(member, call)


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
    return _MEMBER.reply(changed, call)


async def delete_member(call: Call) -> Reply:
    """Remove a member.  Servers that it created from the image remain."""
    image = await _shared(call)
    if not _is_owner(call, image):
        raise Forbidden(f"Not allowed to delete members for image {image.id}.")
    member = await _member(call, image)
    await call.deps.rpc.call(DELETE_IMAGE_MEMBER, DeleteImageMember(image.id, member.project_id))
    return Reply()


M = Member[ImageMember, Call]
_MEMBER = View(
    "ImageMember",
    M("member_id", str, lambda member, _: member.project_id),
    M("image_id", str, lambda member, _: member.image_id),
    M("status", str, lambda member, _: member.status),
    M("created_at", str, lambda member, _: seconds_z(member.created_at)),
    M("updated_at", str, lambda member, _: seconds_z(member.updated_at)),
    M("schema", str, lambda _, __: "/v2/schemas/member"),
)
_MEMBERS = View[Sequence[ImageMember], Call](
    "",
    Member("members", ListOf(_MEMBER), lambda members, _: members),
    Member("schema", str, lambda _, __: "/v2/schemas/members"),
)
_PATH = "/images/{image_id}/members"
_ID = _PATH + "/{member_id}"
_READ, _WRITE = DefaultPolicy.READER, DefaultPolicy.MEMBER

ROUTES = (
    Route("GET", _PATH, list_members, "get_members", _READ, reply=_MEMBERS),
    Route("POST", _PATH, add_member, "add_member", _WRITE, reply=_MEMBER, body=NewMember),
    Route("GET", _ID, show_member, "get_member", _READ, reply=_MEMBER),
    Route("PUT", _ID, update_member, "modify_member", _WRITE, reply=_MEMBER, body=MemberChange),
    Route("DELETE", _ID, delete_member, "delete_member", _WRITE, 204),
)
