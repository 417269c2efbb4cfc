# SPDX-License-Identifier: Apache-2.0
"""Groups of users, which can have roles."""

from typing import Any

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import Route
from kilonova.api.http.views import Member, Others, View, one
from kilonova.api.identity.domain import SelfLink, check_domain, check_id, collection
from kilonova.api.identity.filters import matching
from kilonova.api.identity.models import CreateGroup, GroupFields, UpdateGroup
from kilonova.api.identity.routing import ADMIN, DOMAIN, GROUP, MY_USER, OF_GROUPS, OF_USERS, USER, P, list_route
from kilonova.api.identity.token_cache import apply_change
from kilonova.api.identity.users import USER_VIEW, USERS
from kilonova.base.errors import NotFound
from kilonova.base.unset import UNSET, unset_if_none
from kilonova.db.readers import assignments as readers
from kilonova.db.readers.identity import get_user
from kilonova.objects.identity import DOMAIN_ID, Group
from kilonova.rpcapi import api_to_conductor_identity as methods


async def list_groups(call: Call) -> Reply:
    """List groups."""
    return _listed(call, await call.db.read(readers.list_groups))


async def list_groups_of_user(call: Call) -> Reply:
    """List the groups of a user."""
    user = await call.db.read(get_user, call.params["user_id"])
    return _listed(call, await call.db.read(readers.list_groups, user.id))


def _listed(call: Call, groups: list[Group]) -> Reply:
    return _GROUPS.reply(matching(call.query, [_GROUP.show(group, call) for group in groups]), call)


async def show_group(call: Call) -> Reply:
    """Show a group by its id.  A name is 404."""
    return _ONE.reply(await _find(call), call)


async def _find(call: Call) -> Group:
    return await call.db.read(readers.get_group, call.params["group_id"])


async def create_group(call: Call, body: CreateGroup) -> Reply:
    """Create a group."""
    fields = body.group
    _check(fields, None)
    group_id = call.deps.clock.new_id().replace("-", "")
    group = Group(group_id, fields.name, fields.description or "", fields.attributes("group"))
    await apply_change(call, methods.CREATE_GROUP, methods.CreateGroup(group))
    return _ONE.reply(group, call)


async def update_group(call: Call, body: UpdateGroup) -> Reply:
    """Update a group."""
    fields, group_id = body.group, call.params["group_id"]
    _check(fields, group_id)
    request = methods.UpdateGroup(
        group_id,
        name=unset_if_none(fields.name),
        description=unset_if_none(fields.description),
        extra=fields.attributes("group") or UNSET,
    )
    await apply_change(call, methods.UPDATE_GROUP, request)
    return await show_group(call)


async def delete_group(call: Call) -> Reply:
    """Delete a group with its role assignments.  Its users remain."""
    group = await _find(call)
    await apply_change(call, methods.DELETE_GROUP, methods.DeleteGroup(group.id))
    return Reply()


async def list_members(call: Call) -> Reply:
    """List the users in a group."""
    found = await call.db.read(readers.members_of, (await _find(call)).id)
    return USERS.reply(matching(call.query, [USER_VIEW.show(user, call) for user in found]), call)


async def add_member(call: Call) -> Reply:
    """Add a user to a group."""
    group_id, user_id = call.params["group_id"], call.params["user_id"]
    await apply_change(call, methods.EDIT_MEMBER, methods.EditMember(group_id, user_id, there=True))
    return Reply()


async def check_member(call: Call) -> Reply:
    """Check whether a user is in a group: 204, or 404."""
    group, user = await _find(call), await call.db.read(get_user, call.params["user_id"])
    if user.id not in {one.id for one in await call.db.read(readers.members_of, group.id)}:
        raise NotFound(f"The user {user.id} is not in the group {group.id}.")
    return Reply()


async def remove_member(call: Call) -> Reply:
    """Remove a user from a group.  The user loses the group's roles immediately."""
    await check_member(call)
    group_id, user_id = call.params["group_id"], call.params["user_id"]
    await apply_change(call, methods.EDIT_MEMBER, methods.EditMember(group_id, user_id, there=False))
    return Reply()


def _check(fields: GroupFields, group_id: str | None) -> None:
    check_domain(fields.domain_id)
    check_id("group", fields.id, group_id)


_GROUP = View[Group, Call](
    "Group",
    Member("id", str, lambda group, _: group.id),
    Member("name", str, lambda group, _: group.name),
    Member("domain_id", str, lambda _, __: DOMAIN_ID),
    Member("description", str, lambda group, _: group.description),
    Member("links", SelfLink, lambda group, call: {"self": call.links.to(f"/groups/{group.id}")}),
    others=Others(Any, lambda group, _: group.extra),
)
_GROUPS = collection("groups", _GROUP)
_ONE = one("group", _GROUP)
_MEMBER = GROUP + "/users/{user_id}"

ROUTES = (
    list_route("/groups", list_groups, "list_groups", DOMAIN, _GROUPS, OF_GROUPS),
    list_route(USER + "/groups", list_groups_of_user, "list_groups_for_user", MY_USER, _GROUPS, OF_GROUPS),
    Route("POST", "/groups", create_group, P + "create_group", ADMIN, 201, _ONE, CreateGroup),
    Route("GET", GROUP, show_group, P + "get_group", DOMAIN, reply=_ONE),
    Route("PATCH", GROUP, update_group, P + "update_group", ADMIN, reply=_ONE, body=UpdateGroup),
    Route("DELETE", GROUP, delete_group, P + "delete_group", ADMIN, 204),
    list_route(GROUP + "/users", list_members, "list_users_in_group", DOMAIN, USERS, OF_USERS),
    Route("PUT", _MEMBER, add_member, P + "add_user_to_group", ADMIN, 204),
    Route("GET", _MEMBER, check_member, P + "check_user_in_group", DOMAIN, 204),
    Route("DELETE", _MEMBER, remove_member, P + "remove_user_from_group", ADMIN, 204),
)
