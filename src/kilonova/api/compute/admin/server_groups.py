# SPDX-License-Identifier: Apache-2.0
"""/os-server-groups: servers that should be on one host, or on different ones.

Source: Compute API reference, "Server groups".  Soft policies from 2.15; one `policy` with `rules` from 2.64, before it
a list of one.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from kilonova.api.compute.fields import Name, Positive
from kilonova.api.compute.strict import STRICT
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.base.errors import InvalidInput
from kilonova.db.readers import server_groups as readers
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import InstanceId, ServerGroupId
from kilonova.objects.server_group import MAX_SERVER_PER_HOST, GroupPolicy, ServerGroup
from kilonova.rpcapi.api_to_conductor import CREATE_SERVER_GROUP, DELETE_SERVER_GROUP, DeleteServerGroup, PutServerGroup

ARGUMENTS = frozenset({"all_projects", "limit", "offset"})
ONE_POLICY = v2(64)
_SOFT = frozenset({GroupPolicy.SOFT_AFFINITY, GroupPolicy.SOFT_ANTI_AFFINITY})
_Policy = Annotated[GroupPolicy, Field(strict=False)]


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


async def create(call: Call, body: CreateServerGroup) -> Reply:
    """POST /os-server-groups from 2.64 on."""
    asked = body.server_group
    most = asked.rules.max_server_per_host
    if most is not None and asked.policy is not GroupPolicy.ANTI_AFFINITY:
        raise InvalidInput("Only anti-affinity policy supports rules.", path="server_group.rules")
    return await _create(call, asked.name, asked.policy, {} if most is None else {MAX_SERVER_PER_HOST: most})


async def create_old(call: Call, body: CreateOldServerGroup) -> Reply:
    """POST /os-server-groups before 2.64."""
    policy = body.server_group.policies[0]
    if policy in _SOFT and call.version < v2(15):
        raise InvalidInput(f"The policy {policy} came with 2.15.", path="server_group.policies")
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
    return json_reply({"server_group": _view(call, group, ())})


async def list_groups(call: Call) -> Reply:
    """GET /os-server-groups: the project's; with `all_projects`, whatever its value, everybody's."""
    everybodys = call.query.text("all_projects") is not None
    if everybodys:
        call.permit("os_compute_api:os-server-groups:index:all_projects")
    longest = call.deps.settings.max_limit
    limit = call.query.integer("limit")
    project_id = None if everybodys else call.context.project_id
    found = await call.db.read(
        _page, project_id, call.query.integer("offset") or 0, longest if limit is None else min(limit, longest)
    )
    return json_reply({"server_groups": [_view(call, group, members) for group, members in found]})


async def show(call: Call) -> Reply:
    """GET /os-server-groups/{id}."""
    group, members = await call.db.read(_one, ServerGroupId(call.params["group_id"]), call.scope)
    return json_reply({"server_group": _view(call, group, members)})


async def delete(call: Call) -> Reply:
    """DELETE /os-server-groups/{id}: its servers stay."""
    group, _ = await call.db.read(_one, ServerGroupId(call.params["group_id"]), call.scope)
    await call.deps.rpc.call(DELETE_SERVER_GROUP, DeleteServerGroup(group.id))
    return Reply()


_Found = tuple[ServerGroup, Sequence[InstanceId]]


def _page(snapshot: Snapshot, project_id: str | None, offset: int, limit: int) -> list[_Found]:
    groups = readers.page(snapshot, project_id, offset, limit)
    members = readers.members(snapshot, [group.id for group in groups])
    return [(group, members.get(group.id, ())) for group in groups]


def _one(snapshot: Snapshot, group_id: ServerGroupId, project_id: str | None) -> _Found:
    group = readers.get(snapshot, group_id, project_id)
    return group, readers.members(snapshot, [group.id]).get(group.id, ())


def _view(call: Call, group: ServerGroup, members: Sequence[InstanceId]) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": group.id, "name": group.name, "members": members}
    if call.version < ONE_POLICY:
        shown |= {"policies": [group.policy], "metadata": {}}
    else:
        shown |= {"policy": group.policy, "rules": group.rules}
    if call.version >= v2(13):
        shown |= {"project_id": group.project_id, "user_id": group.user_id}
    return shown


ROUTES = (
    Route("GET", "/os-server-groups", list_groups, "os_compute_api:os-server-groups:index", DefaultPolicy.READER,
        note="{server_groups: [...]}", query=ARGUMENTS, strict=STRICT),
    Route("POST", "/os-server-groups", create, "os_compute_api:os-server-groups:create", DefaultPolicy.MEMBER,
        note="{server_group}", body=CreateServerGroup, min=ONE_POLICY),
    Route("POST", "/os-server-groups", create_old, "os_compute_api:os-server-groups:create", DefaultPolicy.MEMBER,
        note="{server_group}", body=CreateOldServerGroup, max=v2(63)),
    Route("GET", "/os-server-groups/{group_id}", show, "os_compute_api:os-server-groups:show", DefaultPolicy.READER,
        note="{server_group}"),
    Route("DELETE", "/os-server-groups/{group_id}", delete, "os_compute_api:os-server-groups:delete",
        DefaultPolicy.MEMBER, 204),
)  # fmt: skip
