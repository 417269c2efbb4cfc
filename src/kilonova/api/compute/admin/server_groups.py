# SPDX-License-Identifier: Apache-2.0
"""/os-server-groups: servers that should be on the same host, or on different hosts.

Source: Compute API reference, "Server groups".  Soft policies from 2.15.  From 2.64 one `policy` with `rules`; before,
a list of one policy.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from kilonova.api.compute.fields import Name, Positive
from kilonova.api.compute.strict import STRICT
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import Member, View, many, one
from kilonova.base.errors import InvalidInput
from kilonova.base.open_enum import known
from kilonova.db.readers import server_groups as readers
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import InstanceId, ServerGroupId
from kilonova.objects.server_group import MAX_SERVER_PER_HOST, GroupPolicy, ServerGroup
from kilonova.rpcapi.api_to_conductor import CREATE_SERVER_GROUP, DELETE_SERVER_GROUP, DeleteServerGroup, PutServerGroup

ARGUMENTS = frozenset({"all_projects", "limit", "offset"})
ONE_POLICY = v2(64)
_SOFT = frozenset({GroupPolicy.SOFT_AFFINITY, GroupPolicy.SOFT_ANTI_AFFINITY})
_Policy = Annotated[GroupPolicy, Field(strict=False), AfterValidator(known)]


class Rules(Body):
    max_server_per_host: Positive | None = None


class NewServerGroup(Body):
    name: Name
    policy: _Policy
    rules: Rules = Field(default_factory=Rules)


class CreateServerGroup(Body):
    server_group: NewServerGroup


class OldServerGroup(Body):
    name: Name
    policies: Annotated[list[_Policy], Field(min_length=1, max_length=1)]


class CreateOldServerGroup(Body):
    server_group: OldServerGroup


_Found = tuple[ServerGroup, Sequence[InstanceId]]
"""A group and its members."""

_G = Member[_Found, Call]
_GROUP = View(
    "ServerGroup",
    _G("id", str, lambda found, _: found[0].id),
    _G("name", str, lambda found, _: found[0].name),
    _G("members", list[str], lambda found, _: found[1]),
    _G("policies", list[str], lambda found, _: [found[0].policy], until=v2(63)),
    _G("metadata", dict[str, str], lambda _, __: {}, until=v2(63)),
    _G("policy", str, lambda found, _: found[0].policy, since=ONE_POLICY),
    _G("rules", dict[str, int], lambda found, _: found[0].rules, since=ONE_POLICY),
    _G("project_id", str, lambda found, _: found[0].project_id, since=v2(13)),
    _G("user_id", str, lambda found, _: found[0].user_id, since=v2(13)),
)
_ALL, _ONE = many("server_groups", _GROUP), one("server_group", _GROUP)


async def create(call: Call, body: CreateServerGroup) -> Reply:
    """Create a server group (from 2.64)."""
    fields = body.server_group
    most = fields.rules.max_server_per_host
    if most is not None and fields.policy is not GroupPolicy.ANTI_AFFINITY:
        raise InvalidInput("Only anti-affinity policy supports rules.", path="server_group.rules")
    return await _create(call, fields.name, fields.policy, {} if most is None else {MAX_SERVER_PER_HOST: most})


async def create_old(call: Call, body: CreateOldServerGroup) -> Reply:
    """Create a server group (until 2.63)."""
    policy = body.server_group.policies[0]
    if policy in _SOFT and call.version < v2(15):
        raise InvalidInput(f"The policy {policy} needs microversion 2.15.", path="server_group.policies")
    return await _create(call, body.server_group.name, policy, {})


async def _create(call: Call, name: str, policy: GroupPolicy, rules: dict[str, int]) -> Reply:
    group = ServerGroup(
        id=ServerGroupId(call.deps.clock.new_id()),
        project_id=call.context.project_id,
        user_id=call.context.user_id,
        name=name,
        policy=policy,
        created_at=call.deps.clock.now(),
        rules=rules,
    )
    await call.deps.rpc.call(CREATE_SERVER_GROUP, PutServerGroup(group))
    return _ONE.reply((group, ()), call)


async def list_groups(call: Call) -> Reply:
    """List the server groups of the project; with `all_projects`, whatever its value, of all projects."""
    all_projects = call.query.text("all_projects") is not None
    if all_projects:
        call.permit("os_compute_api:os-server-groups:index:all_projects")
    longest = call.deps.settings.max_limit
    limit = call.query.integer("limit")
    project_id = None if all_projects else call.context.project_id
    found = await call.db.read(
        _page, project_id, call.query.integer("offset") or 0, longest if limit is None else min(limit, longest)
    )
    return _ALL.reply(found, call)


async def show(call: Call) -> Reply:
    """Show a server group."""
    return _ONE.reply(await call.db.read(_one, ServerGroupId(call.params["group_id"]), call.scope), call)


async def delete(call: Call) -> Reply:
    """Delete a server group.  Its servers remain."""
    group, _ = await call.db.read(_one, ServerGroupId(call.params["group_id"]), call.scope)
    await call.deps.rpc.call(DELETE_SERVER_GROUP, DeleteServerGroup(group.id))
    return Reply()


def _page(snapshot: Snapshot, project_id: str | None, offset: int, limit: int) -> list[_Found]:
    groups = readers.page(snapshot, project_id, offset, limit)
    members = readers.members(snapshot, [group.id for group in groups])
    return [(group, members.get(group.id, ())) for group in groups]


def _one(snapshot: Snapshot, group_id: ServerGroupId, project_id: str | None) -> _Found:
    group = readers.get(snapshot, group_id, project_id)
    return group, readers.members(snapshot, [group.id]).get(group.id, ())


ROUTES = (
    Route("GET", "/os-server-groups", list_groups, "os_compute_api:os-server-groups:index", DefaultPolicy.READER,
        reply=_ALL, query=ARGUMENTS, strict=STRICT),
    Route("POST", "/os-server-groups", create, "os_compute_api:os-server-groups:create", DefaultPolicy.MEMBER,
        reply=_ONE, body=CreateServerGroup, min=ONE_POLICY),
    Route("POST", "/os-server-groups", create_old, "os_compute_api:os-server-groups:create", DefaultPolicy.MEMBER,
        reply=_ONE, body=CreateOldServerGroup, max=v2(63)),
    Route("GET", "/os-server-groups/{group_id}", show, "os_compute_api:os-server-groups:show", DefaultPolicy.READER,
        reply=_ONE),
    Route("DELETE", "/os-server-groups/{group_id}", delete, "os_compute_api:os-server-groups:delete",
        DefaultPolicy.MEMBER, 204),
)  # fmt: skip
