# SPDX-License-Identifier: Apache-2.0
"""Roles, and who has them where.

A role exists when it is one of the usual ones, when the policy file speaks of it, or when somebody still has it.
"""

from dataclasses import replace
from typing import Any

from kilonova.api.call import Call, Reply, json_reply
from kilonova.api.identity.catalog import stable_id
from kilonova.api.identity.domain import DOMAIN, collection
from kilonova.api.identity.edit import edited
from kilonova.base.errors import NotFound
from kilonova.db.readers import identity as readers
from kilonova.identity.roles import IMPLIED, with_implied
from kilonova.objects.identity import Assignment


def role_id(name: str) -> str:
    """A role's id: made of its name."""
    return stable_id("role", name)


_OF_ASSIGNMENTS = ("user.id", "scope.project.id", "role.id")
_OF_NOBODY = ("group.id", "scope.domain.id", "scope.system")
ASSIGNMENT_ARGUMENTS = frozenset({*_OF_ASSIGNMENTS, *_OF_NOBODY, "effective", "include_names"})


async def known_roles(call: Call) -> dict[str, str]:
    """Names by id."""
    assigned = await call.db.read(readers.assigned_roles)
    return {role_id(name): name for name in sorted({*IMPLIED, *call.deps.policy.roles(), *assigned})}


async def list_roles(call: Call) -> Reply:
    """GET /v3/roles."""
    asked = call.query.text("name")
    names = (await known_roles(call)).values()
    return collection(call, "roles", [_view(call, name) for name in names if asked in (None, name)])


async def show_role(call: Call) -> Reply:
    """GET /v3/roles/{id}: by id only; a name is 404."""
    return json_reply({"role": _view(call, await _named(call))})


async def _named(call: Call) -> str:
    """The role of the path.  Raises NotFound."""
    name = (await known_roles(call)).get(call.params["role_id"])
    if name is None:
        raise NotFound(f"Could not find role: {call.params['role_id'][:64]}.")
    return name


async def _assignment(call: Call) -> Assignment:
    """What the path speaks of, all of which exists.  Raises NotFound."""
    role = await _named(call)
    user = await call.db.read(readers.get_user, call.params["user_id"])
    project = await call.db.read(readers.get_project, call.params["project_id"])
    return Assignment(user.id, project.id, role)


async def grant_role(call: Call) -> Reply:
    """PUT /v3/projects/{id}/users/{id}/roles/{id}."""
    await edited(call, call.deps.identity.assign_role(await _assignment(call)))
    return Reply()


async def check_role(call: Call) -> Reply:
    """GET and HEAD of the same: 204, or 404 when the user was not given it."""
    await _held(call)
    return Reply()


async def revoke_role(call: Call) -> Reply:
    """DELETE of the same.  Tokens lose the role at once."""
    await edited(call, call.deps.identity.remove_role(await _held(call)))
    return Reply()


async def _held(call: Call) -> Assignment:
    asked = await _assignment(call)
    if asked.role not in await call.db.read(readers.roles_of, asked.user_id, asked.project_id):
        raise NotFound(f"The user has no role {asked.role} in this project.")
    return asked


async def list_roles_of_user(call: Call) -> Reply:
    """GET /v3/projects/{id}/users/{id}/roles: those that were given, without what they imply."""
    user = await call.db.read(readers.get_user, call.params["user_id"])
    project = await call.db.read(readers.get_project, call.params["project_id"])
    names = await call.db.read(readers.roles_of, user.id, project.id)
    return collection(call, "roles", [_view(call, name) for name in names])


async def list_assignments(call: Call) -> Reply:
    """GET /v3/role_assignments: filtered by user, project and role; `effective` adds what roles imply."""
    asked = {name: call.query.text(name) for name in _OF_ASSIGNMENTS}
    if any(call.query.text(name) is not None for name in _OF_NOBODY):
        return collection(call, "role_assignments", [])
    effective = _flag(call, "effective")
    found: dict[Assignment, tuple[str, str]] = {}
    for given, *names in await call.db.read(readers.list_assignments):
        for role in with_implied((given.role,)) if effective else (given.role,):
            actual = {"user.id": given.user_id, "scope.project.id": given.project_id, "role.id": role_id(role)}
            if all(asked[name] in (None, value) for name, value in actual.items()):
                found[replace(given, role=role)] = (names[0], names[1])
    with_names = _flag(call, "include_names")
    entries = [_entry(call, given, names if with_names else None) for given, names in found.items()]
    return collection(call, "role_assignments", entries)


def _flag(call: Call, name: str) -> bool:
    """Identity takes an argument without a value for true."""
    return call.query.text(name) == "" or bool(call.query.boolean(name))


def _entry(call: Call, given: Assignment, names: tuple[str, str] | None) -> dict[str, Any]:
    path = f"/projects/{given.project_id}/users/{given.user_id}/roles/{role_id(given.role)}"
    entry: dict[str, Any] = {
        "role": {"id": role_id(given.role)},
        "user": {"id": given.user_id},
        "scope": {"project": {"id": given.project_id}},
        "links": {"assignment": call.links.to(path)},
    }
    if names is not None:
        entry["role"]["name"] = given.role
        entry["user"].update(name=names[0], domain=DOMAIN)
        entry["scope"]["project"].update(name=names[1], domain=DOMAIN)
    return entry


def _view(call: Call, name: str) -> dict[str, Any]:
    links = {"self": call.links.to(f"/roles/{role_id(name)}")}
    return {"id": role_id(name), "name": name, "domain_id": None, "description": None, "options": {}, "links": links}
