# SPDX-License-Identifier: Apache-2.0
"""Unified limits of projects: number and size of images, which Glance's clients read here.

Limits of servers are in Compute's os-quota-sets.  Source: Identity API v3 reference, "Unified Limits".
"""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from kilonova.api.http.body import Lenient
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.policy import ADMIN_REQUIRED
from kilonova.api.identity.catalog import REGION, stable_id
from kilonova.api.identity.domain import collection
from kilonova.base.errors import Conflict, InvalidInput, NotFound
from kilonova.db.readers import identity as read_identity
from kilonova.db.readers import quotas as read_quotas
from kilonova.rpcapi.conductor import SetQuotas

RESOURCES = ("image_count_total", "image_size_total")
GLANCE = stable_id("image")
ARGUMENTS = frozenset({"service_id", "region_id", "resource_name", "project_id", "domain_id"})

_Amount = Annotated[int, Field(ge=-1, le=0x7FFFFFFF)]


class NewLimit(Lenient):
    project_id: str
    service_id: str
    resource_name: str
    resource_limit: _Amount
    region_id: str | None = None


class CreateLimits(Lenient):
    limits: Annotated[list[NewLimit], Field(max_length=100)]


class LimitFields(Lenient):
    resource_limit: _Amount


class UpdateLimit(Lenient):
    limit: LimitFields


async def list_registered(call: Call) -> Reply:
    """List registered limits: the defaults for projects without limits of their own."""
    defaults = await call.db.read(read_quotas.limits, call.deps.quotas.defaults, read_quotas.DEFAULT_CLASS)
    every = [
        {
            "id": stable_id("registered", name),
            "service_id": GLANCE,
            "region_id": None,
            "resource_name": name,
            "default_limit": defaults[name],
            "description": None,
            "links": {"self": call.links.to(f"/registered_limits/{stable_id('registered', name)}")},
        }
        for name in RESOURCES
    ]
    return collection(call, "registered_limits", _filtered(call, every))


async def list_limits(call: Call) -> Reply:
    """List the limits of the token's project.  Administrators see those of all projects."""
    return collection(call, "limits", _filtered(call, await _limits(call)))


async def show_limit(call: Call) -> Reply:
    """Show a limit of a project."""
    return json_reply({"limit": await _find(call)})


async def create_limits(call: Call, body: CreateLimits) -> Reply:
    """Create one or several limits of projects.  A limit that exists is a 409."""
    existing = {limit["id"] for limit in await _limits(call)}
    for new in body.limits:
        if new.service_id != GLANCE or new.resource_name not in RESOURCES or new.region_id not in (None, REGION):
            raise InvalidInput("Unable to create a limit that has no corresponding registered limit.", path="limits")
        if _id(new.project_id, new.resource_name) in existing:
            raise Conflict("Conflict occurred attempting to store limit - Duplicate entry.")
        await call.db.read(read_identity.get_project, new.project_id)
    for new in body.limits:
        await _set(call, new.project_id, new.resource_name, new.resource_limit)
    created = {_id(new.project_id, new.resource_name) for new in body.limits}
    return json_reply({"limits": [limit for limit in await _limits(call) if limit["id"] in created]})


async def update_limit(call: Call, body: UpdateLimit) -> Reply:
    """Update a limit of a project."""
    limit = await _find(call)
    await _set(call, limit["project_id"], limit["resource_name"], body.limit.resource_limit)
    return await show_limit(call)


async def delete_limit(call: Call) -> Reply:
    """Delete a limit of a project.  The registered limit applies again."""
    limit = await _find(call)
    await call.deps.conductor.set_quotas(SetQuotas(limit["project_id"], {}, forgotten=(limit["resource_name"],)))
    return Reply()


async def _set(call: Call, project_id: str, resource: str, amount: int) -> None:
    await call.deps.conductor.set_quotas(SetQuotas(project_id, {resource: amount}, force=True))


async def _limits(call: Call) -> list[dict[str, Any]]:
    only = None if call.may(ADMIN_REQUIRED) else call.context.project_id
    return [
        {
            "id": _id(project_id, resource),
            "project_id": project_id,
            "domain_id": None,
            "service_id": GLANCE,
            "region_id": None,
            "resource_name": resource,
            "resource_limit": amount,
            "description": None,
            "links": {"self": call.links.to(f"/limits/{_id(project_id, resource)}")},
        }
        for project_id, resource, amount in await call.db.read(read_quotas.own_limits, RESOURCES)
        if only in (None, project_id)
    ]


async def _find(call: Call) -> dict[str, Any]:
    limit_id = call.params["limit_id"]
    for limit in await _limits(call):
        if limit["id"] == limit_id:
            return limit
    raise NotFound(f"Could not find limit for {limit_id[:64]}.")


def _id(project_id: str, resource: str) -> str:
    return stable_id("limit", project_id, resource)


def _filtered(call: Call, every: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = {name: text for name in ARGUMENTS if (text := call.query.text(name)) is not None}
    return [one for one in every if all(one.get(name) == text for name, text in wanted.items())]
