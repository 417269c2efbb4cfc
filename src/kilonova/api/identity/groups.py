# SPDX-License-Identifier: Apache-2.0
"""Groups: users who have roles together."""

from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.identity import users
from kilonova.api.identity.domain import DOMAIN, check_domain, check_id, collection
from kilonova.api.identity.filters import matching
from kilonova.api.identity.models import CreateGroup, GroupFields, UpdateGroup
from kilonova.api.identity.token_cache import edited
from kilonova.base.errors import NotFound
from kilonova.base.unset import UNSET, unset_if_none
from kilonova.db.readers import assignments as readers
from kilonova.db.readers.identity import get_user
from kilonova.objects.identity import Group
from kilonova.rpcapi import api_to_conductor_identity as methods


async def list_groups(call: Call) -> Reply:
    """GET /v3/groups."""
    return _listed(call, await call.db.read(readers.list_groups))


async def list_groups_of_user(call: Call) -> Reply:
    """GET /v3/users/{id}/groups."""
    user = await call.db.read(get_user, call.params["user_id"])
    return _listed(call, await call.db.read(readers.list_groups, user.id))


def _listed(call: Call, groups: list[Group]) -> Reply:
    return collection(call, "groups", matching(call.query, [_view(call, group) for group in groups]))


async def show_group(call: Call) -> Reply:
    """GET /v3/groups/{id}: by id only; a name is 404."""
    return json_reply({"group": _view(call, await _find(call))})


async def _find(call: Call) -> Group:
    return await call.db.read(readers.get_group, call.params["group_id"])


async def create_group(call: Call, body: CreateGroup) -> Reply:
    """POST /v3/groups."""
    asked = body.group
    _check(asked, None)
    group_id = call.deps.clock.new_id().replace("-", "")
    group = Group(group_id, asked.name, asked.description or "", asked.attributes("group"))
    await edited(call, call.deps.rpc.call(methods.CREATE_GROUP, methods.CreateGroup(group)))
    return json_reply({"group": _view(call, group)})


async def update_group(call: Call, body: UpdateGroup) -> Reply:
    """PATCH /v3/groups/{id}."""
    asked, group_id = body.group, call.params["group_id"]
    _check(asked, group_id)
    request = methods.UpdateGroup(
        group_id,
        name=unset_if_none(asked.name),
        description=unset_if_none(asked.description),
        extra=asked.attributes("group") or UNSET,
    )
    await edited(call, call.deps.rpc.call(methods.UPDATE_GROUP, request))
    return await show_group(call)


async def delete_group(call: Call) -> Reply:
    """DELETE /v3/groups/{id}: its roles go with it, its users stay."""
    group = await _find(call)
    await edited(call, call.deps.rpc.call(methods.DELETE_GROUP, methods.DeleteGroup(group.id)))
    return Reply()


async def list_members(call: Call) -> Reply:
    """GET /v3/groups/{id}/users."""
    found = await call.db.read(readers.members_of, (await _find(call)).id)
    return collection(call, "users", matching(call.query, [users.view(call, user) for user in found]))


async def add_member(call: Call) -> Reply:
    """PUT /v3/groups/{id}/users/{id}."""
    group_id, user_id = call.params["group_id"], call.params["user_id"]
    await edited(call, call.deps.rpc.call(methods.EDIT_MEMBER, methods.EditMember(group_id, user_id, there=True)))
    return Reply()


async def check_member(call: Call) -> Reply:
    """GET and HEAD of the same: 204, or 404."""
    group, user = await _find(call), await call.db.read(get_user, call.params["user_id"])
    if user.id not in {one.id for one in await call.db.read(readers.members_of, group.id)}:
        raise NotFound(f"The user {user.id} is not in the group {group.id}.")
    return Reply()


async def remove_member(call: Call) -> Reply:
    """DELETE of the same: what the user had by the group is gone at once."""
    await check_member(call)
    await edited(
        call,
        call.deps.rpc.call(
            methods.EDIT_MEMBER, methods.EditMember(call.params["group_id"], call.params["user_id"], there=False)
        ),
    )
    return Reply()


def _check(asked: GroupFields, group_id: str | None) -> None:
    check_domain(asked.domain_id)
    check_id("group", asked.id, group_id)


def _view(call: Call, group: Group) -> dict[str, Any]:
    return {
        **group.extra,
        "id": group.id,
        "name": group.name,
        "domain_id": DOMAIN["id"],
        "description": group.description,
        "links": {"self": call.links.to(f"/groups/{group.id}")},
    }
