# SPDX-License-Identifier: Apache-2.0
"""Roles.

A role exists if it is built in (admin, member, reader), if an administrator created it, if the policy file names it,
or if it is still assigned.  Only created roles can be changed.  The policy decides what a role permits.
"""

from collections.abc import Mapping

from typing_extensions import TypedDict

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import Route
from kilonova.api.http.views import Member, View, one
from kilonova.api.identity.catalog import stable_id
from kilonova.api.identity.domain import SelfLink, check_domain, collection, refuse_unsupported
from kilonova.api.identity.filters import arguments, matching
from kilonova.api.identity.models import CreateRole, RoleFields, UpdateRole
from kilonova.api.identity.routing import ADMIN, SYSTEM, P, list_route
from kilonova.api.identity.token_cache import apply_change
from kilonova.base.errors import Conflict, Forbidden, InvalidInput, NotFound
from kilonova.db.readers import assignments as readers
from kilonova.identity.roles import IMPLIED
from kilonova.objects.identity import Role
from kilonova.rpcapi import api_to_conductor_identity as methods


async def known_roles(call: Call) -> Mapping[str, Role]:
    """All roles by id, sorted by name."""
    created = await call.db.read(readers.made_roles)
    assigned = await call.db.read(readers.assigned_roles)
    others = {*IMPLIED, *call.deps.policy.roles(), *assigned} - {role.name for role in created}
    every = [*created, *(Role(stable_id("role", name), name) for name in others)]
    return {role.id: role for role in sorted(every, key=lambda role: role.name)}


class _Ids(dict[str, str]):
    """Also has an id for a name without a role: a token can name a role that was deleted."""

    def __missing__(self, name: str) -> str:
        return stable_id("role", name)


async def role_ids(call: Call) -> Mapping[str, str]:
    """Ids of roles by name.  A name without a role has an id, too."""
    return _Ids({role.name: role.id for role in (await known_roles(call)).values()})


async def list_roles(call: Call) -> Reply:
    """List roles."""
    shown = [ROLE.show(role, call) for role in (await known_roles(call)).values()]
    return ROLES.reply(matching(call.query, shown), call)


async def show_role(call: Call) -> Reply:
    """Show a role by its id.  A name is 404."""
    return _ONE.reply(await find(call), call)


async def find(call: Call) -> Role:
    """The role of the path.  Raises NotFound."""
    role = (await known_roles(call)).get(call.params["role_id"])
    if role is None:
        raise NotFound(f"Could not find role: {call.params['role_id'][:64]}.")
    return role


async def create_role(call: Call, body: CreateRole) -> Reply:
    """Create a role.  It permits nothing until the policy file names it."""
    fields = body.role
    _check(fields)
    await _check_name(call, fields.name)
    role = Role(call.deps.clock.new_id().replace("-", ""), fields.name, fields.description)
    await apply_change(call, methods.CREATE_ROLE, methods.CreateRole(role))
    return _ONE.reply(role, call)


async def update_role(call: Call, body: UpdateRole) -> Reply:
    """Update a role that an administrator created."""
    fields, role = body.role, await _changeable(call)
    _check(fields)
    name = fields.name or role.name
    if name.casefold() != role.name.casefold():
        await _check_name(call, name)
    changed = Role(role.id, name, fields.description if "description" in fields.model_fields_set else role.description)
    await apply_change(call, methods.UPDATE_ROLE, methods.UpdateRole(changed))
    return _ONE.reply(changed, call)


async def delete_role(call: Call) -> Reply:
    """Delete a role and all its assignments."""
    role = await _changeable(call)
    await apply_change(call, methods.DELETE_ROLE, methods.DeleteRole(role.id))
    return Reply()


async def _changeable(call: Call) -> Role:
    role = await find(call)
    if not await call.db.read(readers.find_role, role.id):
        raise Forbidden(f"The role {role.name} is immutable: it is built in, or the policy file defines it.")
    return role


async def _check_name(call: Call, name: str) -> None:
    """Raises Conflict for a role that the policy file names: that role is not in the database."""
    if name.casefold() in {known.casefold() for known in call.deps.policy.roles()}:
        raise Conflict(f"A role called {name} exists already.")


def _check(fields: RoleFields) -> None:
    check_domain(fields.domain_id)
    if fields.domain_id is not None:
        raise InvalidInput("Roles of a domain are not supported.", path="role.domain_id")
    refuse_unsupported("role", options=fields.options)


class RoleOptions(TypedDict, total=False):
    """A role with `immutable` cannot be changed."""

    immutable: bool


def _options(role: Role) -> RoleOptions:
    return {"immutable": True} if role.name in IMPLIED else {}


ROLE = View[Role, Call](
    "Role",
    Member("id", str, lambda role, _: role.id),
    Member("name", str, lambda role, _: role.name),
    Member("domain_id", None, lambda _, __: None),
    Member("description", str | None, lambda role, _: role.description),
    Member("options", RoleOptions, lambda role, _: _options(role)),
    Member("links", SelfLink, lambda role, call: {"self": call.links.to(f"/roles/{role.id}")}),
)
ROLES = collection("roles", ROLE)
_ONE = one("role", ROLE)
_ROLE = "/roles/{role_id}"

ROUTES = (
    list_route("/roles", list_roles, "list_roles", SYSTEM, ROLES, arguments("name", "domain_id")),
    Route("POST", "/roles", create_role, P + "create_role", ADMIN, 201, _ONE, CreateRole),
    Route("GET", _ROLE, show_role, P + "get_role", SYSTEM, reply=_ONE),
    Route("PATCH", _ROLE, update_role, P + "update_role", ADMIN, reply=_ONE, body=UpdateRole),
    Route("DELETE", _ROLE, delete_role, P + "delete_role", ADMIN, 204),
)
