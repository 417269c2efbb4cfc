# SPDX-License-Identifier: Apache-2.0
"""Roles.

A role exists when it is one of the usual ones, when an administrator made it, when the policy file speaks of it, or
when somebody still has it.  Only those that were made can be changed; what a role permits is the policy's to say.
"""

from collections.abc import Mapping
from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.identity.catalog import stable_id
from kilonova.api.identity.domain import check_domain, collection, refuse_unkept
from kilonova.api.identity.filters import matching
from kilonova.api.identity.models import CreateRole, RoleFields, UpdateRole
from kilonova.api.identity.token_cache import edited
from kilonova.base.errors import Conflict, Forbidden, InvalidInput, NotFound
from kilonova.db.readers import assignments as readers
from kilonova.identity.roles import IMPLIED
from kilonova.objects.identity import Role
from kilonova.rpcapi import api_to_conductor_identity as methods


async def known_roles(call: Call) -> Mapping[str, Role]:
    """By id."""
    made = await call.db.read(readers.made_roles)
    assigned = await call.db.read(readers.assigned_roles)
    others = {*IMPLIED, *call.deps.policy.roles(), *assigned} - {role.name for role in made}
    every = [*made, *(Role(stable_id("role", name), name) for name in others)]
    return {role.id: role for role in sorted(every, key=lambda role: role.name)}


class _Ids(dict[str, str]):
    """A token may speak of a role that is no more."""

    def __missing__(self, name: str) -> str:
        return stable_id("role", name)


async def role_ids(call: Call) -> Mapping[str, str]:
    """Ids by name, of every name."""
    return _Ids({role.name: role.id for role in (await known_roles(call)).values()})


async def list_roles(call: Call) -> Reply:
    """GET /v3/roles."""
    shown = [view(call, role) for role in (await known_roles(call)).values()]
    return collection(call, "roles", matching(call.query, shown))


async def show_role(call: Call) -> Reply:
    """GET /v3/roles/{id}: by id only; a name is 404."""
    return json_reply({"role": view(call, await find(call))})


async def find(call: Call) -> Role:
    """The role of the path.  Raises NotFound."""
    role = (await known_roles(call)).get(call.params["role_id"])
    if role is None:
        raise NotFound(f"Could not find role: {call.params['role_id'][:64]}.")
    return role


async def create_role(call: Call, body: CreateRole) -> Reply:
    """POST /v3/roles.  It permits nothing until the policy file speaks of it."""
    asked = body.role
    _check(asked)
    await _check_name(call, asked.name)
    role = Role(call.deps.clock.new_id().replace("-", ""), asked.name, asked.description)
    await edited(call, call.deps.rpc.call(methods.CREATE_ROLE, methods.CreateRole(role)))
    return json_reply({"role": view(call, role)})


async def update_role(call: Call, body: UpdateRole) -> Reply:
    """PATCH /v3/roles/{id}."""
    asked, role = body.role, await _changeable(call)
    _check(asked)
    name = asked.name or role.name
    if name.casefold() != role.name.casefold():
        await _check_name(call, name)
    changed = Role(role.id, name, asked.description if "description" in asked.model_fields_set else role.description)
    await edited(call, call.deps.rpc.call(methods.UPDATE_ROLE, methods.UpdateRole(changed)))
    return json_reply({"role": view(call, changed)})


async def delete_role(call: Call) -> Reply:
    """DELETE /v3/roles/{id}: nobody has it any more."""
    role = await _changeable(call)
    await edited(call, call.deps.rpc.call(methods.DELETE_ROLE, methods.DeleteRole(role.id)))
    return Reply()


async def _changeable(call: Call) -> Role:
    role = await find(call)
    if not await call.db.read(readers.find_role, role.id):
        raise Forbidden(f"The role {role.name} is immutable: it is this service's own, or the policy file's.")
    return role


async def _check_name(call: Call, name: str) -> None:
    """Raises Conflict for a role that the policy file has: the database does not know those."""
    if name.casefold() in {known.casefold() for known in call.deps.policy.roles()}:
        raise Conflict(f"There is a role called {name} already.")


def _check(asked: RoleFields) -> None:
    check_domain(asked.domain_id)
    if asked.domain_id is not None:
        raise InvalidInput("Roles of a domain are not supported here.", path="role.domain_id")
    refuse_unkept("role", options=asked.options)


def view(call: Call, role: Role) -> dict[str, Any]:
    """A role as Identity shows it."""
    return {
        "id": role.id,
        "name": role.name,
        "domain_id": None,
        "description": role.description,
        "options": {"immutable": True} if role.name in IMPLIED else {},
        "links": {"self": call.links.to(f"/roles/{role.id}")},
    }
