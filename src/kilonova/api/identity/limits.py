# SPDX-License-Identifier: Apache-2.0
"""Unified limits of projects: number and size of images, which Glance's clients read here.

Limits of servers are in Compute's os-quota-sets.  Source: Identity API v3 reference, "Unified Limits".
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.policy import ADMIN_REQUIRED
from kilonova.api.http.route import Route
from kilonova.api.http.views import Member, View, many, one
from kilonova.api.identity.catalog import REGION, stable_id
from kilonova.api.identity.domain import Entry, SelfLink, collection
from kilonova.api.identity.models import CreateLimits, UpdateLimit
from kilonova.api.identity.routing import ADMIN, TOKEN, P, list_route
from kilonova.base.errors import Conflict, InvalidInput, NotFound
from kilonova.db.readers import identity as read_identity
from kilonova.db.readers import quotas as read_quotas
from kilonova.rpcapi.api_to_conductor import SET_QUOTAS, SetQuotas

RESOURCES = ("image_count_total", "image_size_total")
GLANCE = stable_id("image")
ARGUMENTS = frozenset({"service_id", "region_id", "resource_name", "project_id", "domain_id"})


@dataclass(frozen=True, slots=True)
class _Limit:
    """A project's own limit of a resource."""

    project_id: str
    resource: str
    amount: int

    @property
    def id(self) -> str:
        return _id(self.project_id, self.resource)


async def list_registered(call: Call) -> Reply:
    """List registered limits: the defaults for projects without their own limits."""
    defaults = await call.db.read(read_quotas.limits, call.deps.quotas.defaults, read_quotas.DEFAULT_CLASS)
    every = [_REGISTERED.show((name, defaults[name]), call) for name in RESOURCES]
    return _ALL_REGISTERED.reply(_filtered(call, every), call)


async def list_limits(call: Call) -> Reply:
    """List the limits of the token's project.  Administrators see those of all projects."""
    return _LIMITS.reply(_filtered(call, [_LIMIT.show(limit, call) for limit in await _limits(call)]), call)


async def show_limit(call: Call) -> Reply:
    """Show a limit of a project."""
    return _ONE.reply(await _find(call), call)


async def create_limits(call: Call, body: CreateLimits) -> Reply:
    """Create one or several limits of projects.  A limit that exists is a 409."""
    existing = {limit.id for limit in await _limits(call)}
    for new in body.limits:
        if new.service_id != GLANCE or new.resource_name not in RESOURCES or new.region_id not in (None, REGION):
            raise InvalidInput("Unable to create a limit that has no corresponding registered limit.", path="limits")
        if _id(new.project_id, new.resource_name) in existing:
            raise Conflict("Conflict occurred attempting to store limit - Duplicate entry.")
        await call.db.read(read_identity.get_project, new.project_id)
    for new in body.limits:
        await _set(call, new.project_id, new.resource_name, new.resource_limit)
    created = {_id(new.project_id, new.resource_name) for new in body.limits}
    return _CREATED.reply([limit for limit in await _limits(call) if limit.id in created], call)


async def update_limit(call: Call, body: UpdateLimit) -> Reply:
    """Update a limit of a project."""
    limit = await _find(call)
    await _set(call, limit.project_id, limit.resource, body.limit.resource_limit)
    return await show_limit(call)


async def delete_limit(call: Call) -> Reply:
    """Delete a limit of a project.  The registered limit applies again."""
    limit = await _find(call)
    await call.deps.rpc.call(SET_QUOTAS, SetQuotas(limit.project_id, {}, forgotten=(limit.resource,)))
    return Reply()


async def _set(call: Call, project_id: str, resource: str, amount: int) -> None:
    await call.deps.rpc.call(SET_QUOTAS, SetQuotas(project_id, {resource: amount}, force=True))


async def _limits(call: Call) -> list[_Limit]:
    only = None if call.may(ADMIN_REQUIRED) else call.context.project_id
    return [
        _Limit(project_id, resource, amount)
        for project_id, resource, amount in await call.db.read(read_quotas.own_limits, RESOURCES)
        if only in (None, project_id)
    ]


async def _find(call: Call) -> _Limit:
    limit_id = call.params["limit_id"]
    for limit in await _limits(call):
        if limit.id == limit_id:
            return limit
    raise NotFound(f"Could not find limit for {limit_id[:64]}.")


def _id(project_id: str, resource: str) -> str:
    return stable_id("limit", project_id, resource)


def _filtered(call: Call, every: Sequence[Entry]) -> list[Entry]:
    wanted = {name: text for name in ARGUMENTS if (text := call.query.text(name)) is not None}
    return [one for one in every if all(one.get(name) == text for name, text in wanted.items())]


_REGISTERED = View[tuple[str, int], Call](
    "RegisteredLimit",
    Member("id", str, lambda limit, _: stable_id("registered", limit[0])),
    Member("service_id", str, lambda _, __: GLANCE),
    Member("region_id", None, lambda _, __: None),
    Member("resource_name", str, lambda limit, _: limit[0]),
    Member("default_limit", int, lambda limit, _: limit[1]),
    Member("description", None, lambda _, __: None),
    Member(
        "links",
        SelfLink,
        lambda limit, call: {"self": call.links.to(f"/registered_limits/{stable_id('registered', limit[0])}")},
    ),
)
_LIMIT = View[_Limit, Call](
    "Limit",
    Member("id", str, lambda limit, _: limit.id),
    Member("project_id", str, lambda limit, _: limit.project_id),
    Member("domain_id", None, lambda _, __: None),
    Member("service_id", str, lambda _, __: GLANCE),
    Member("region_id", None, lambda _, __: None),
    Member("resource_name", str, lambda limit, _: limit.resource),
    Member("resource_limit", int, lambda limit, _: limit.amount),
    Member("description", None, lambda _, __: None),
    Member("links", SelfLink, lambda limit, call: {"self": call.links.to(f"/limits/{limit.id}")}),
)
_ALL_REGISTERED = collection("registered_limits", _REGISTERED)
_LIMITS = collection("limits", _LIMIT)
_CREATED = many("limits", _LIMIT)
_ONE = one("limit", _LIMIT)
_ID = "/limits/{limit_id}"

ROUTES = (
    list_route("/registered_limits", list_registered, "list_registered_limits", TOKEN, _ALL_REGISTERED, ARGUMENTS),
    list_route("/limits", list_limits, "list_limits", TOKEN, _LIMITS, ARGUMENTS),
    Route("POST", "/limits", create_limits, P + "create_limits", ADMIN, 201, _CREATED, CreateLimits),
    Route("GET", _ID, show_limit, P + "get_limit", TOKEN, reply=_ONE),
    Route("PATCH", _ID, update_limit, P + "update_limit", ADMIN, reply=_ONE, body=UpdateLimit),
    Route("DELETE", _ID, delete_limit, P + "delete_limit", ADMIN, 204),
)
