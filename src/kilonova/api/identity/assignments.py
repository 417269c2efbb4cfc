# SPDX-License-Identifier: Apache-2.0
"""Who has which role where: of users and groups, in projects, on the domain and on the system.

A role on the domain or on the system comes with a token for these (`auth`), and never with one for a project.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kilonova.api.http.call import Call, Reply
from kilonova.api.identity import roles
from kilonova.api.identity.domain import DOMAIN, check_domain, collection
from kilonova.api.identity.filters import flag
from kilonova.api.identity.token_cache import edited
from kilonova.base.errors import NotFound
from kilonova.db.readers import assignments as readers
from kilonova.db.readers.identity import get_project, get_user
from kilonova.identity.roles import with_implied
from kilonova.objects.identity import DOMAIN_ID, SYSTEM_ID, Actor, Assignment, Target
from kilonova.rpcapi import api_to_conductor_identity as methods

_FILTERS = ("user.id", "group.id", "role.id", "scope.project.id", "scope.domain.id", "scope.system")
INHERITED = "scope.OS-INHERIT:inherited_to"
ARGUMENTS = frozenset({*_FILTERS, INHERITED, "effective", "include_names", "include_subtree"})


async def _place(call: Call) -> Assignment:
    """Whom and what the path speaks of, all of which exists; the role is left open.  Raises NotFound."""
    params = call.params
    if "user_id" in params:
        actor, actor_id = Actor.USER, (await call.db.read(get_user, params["user_id"])).id
    else:
        actor, actor_id = Actor.GROUP, (await call.db.read(readers.get_group, params["group_id"])).id
    if "project_id" in params:
        project = await call.db.read(get_project, params["project_id"])
        return Assignment(actor_id, project.id, "", actor, Target.PROJECT)
    if "domain_id" in params:
        check_domain(params["domain_id"])
        return Assignment(actor_id, DOMAIN_ID, "", actor, Target.DOMAIN)
    return Assignment(actor_id, SYSTEM_ID, "", actor, Target.SYSTEM)


async def _given(call: Call, place: Assignment) -> list[str]:
    return await call.db.read(readers.given_roles, place.actor, place.actor_id, place.target, place.target_id)


async def grant(call: Call) -> Reply:
    """PUT .../users/{id}/roles/{id} and .../groups/{id}/roles/{id}."""
    role = await roles.find(call)
    await edited(
        call, call.deps.rpc.call(methods.ASSIGN_ROLE, methods.EditRole(replace(await _place(call), role=role.name)))
    )
    return Reply()


async def check(call: Call) -> Reply:
    """GET and HEAD of the same: 204, or 404 when it was not given to just this one."""
    await _held(call)
    return Reply()


async def revoke(call: Call) -> Reply:
    """DELETE of the same.  Tokens lose the role at once."""
    await edited(call, call.deps.rpc.call(methods.REMOVE_ROLE, methods.EditRole(await _held(call))))
    return Reply()


async def _held(call: Call) -> Assignment:
    role = await roles.find(call)
    asked = replace(await _place(call), role=role.name)
    if asked.role not in await _given(call, asked):
        raise NotFound(f"The {asked.actor} has no role {asked.role} in this {asked.target}.")
    return asked


async def list_given(call: Call) -> Reply:
    """GET .../users/{id}/roles and .../groups/{id}/roles: those that were given, without what they imply."""
    names = await _given(call, await _place(call))
    known = await roles.known_roles(call)
    return collection(call, "roles", [roles.view(call, role) for role in known.values() if role.name in names])


async def list_all(call: Call) -> Reply:
    """GET /v3/role_assignments: `effective` gives what users have by their groups, and what roles imply."""
    effective, with_names = bool(flag(call.query, "effective")), bool(flag(call.query, "include_names"))
    ids = await roles.role_ids(call)
    asked = {name: text for name in _FILTERS if (text := call.query.text(name)) is not None}
    if call.query.text(INHERITED) is not None:  # nothing is inherited here
        return collection(call, "role_assignments", [])
    found: dict[Assignment, dict[str, Any]] = {}
    for given, *names in await call.db.read(readers.list_assignments):
        for one, actor_name in [(given, names[0])] if not effective else await _effective(call, given, names[0]):
            if _fits(one, ids[one.role], asked):
                found[one] = _entry(call, one, given, ids, (actor_name, names[1]) if with_names else None)
    return collection(call, "role_assignments", found.values())


async def _effective(call: Call, given: Assignment, name: str) -> list[tuple[Assignment, str]]:
    holders = [(given.actor_id, name)]
    if given.actor is Actor.GROUP:
        members = await call.db.read(readers.members_of, given.actor_id)
        holders = [(user.id, user.name) for user in members]
    return [
        (replace(given, actor=Actor.USER, actor_id=user_id, role=role), user_name)
        for user_id, user_name in holders
        for role in with_implied((given.role,))
    ]


def _fits(one: Assignment, role_id: str, asked: Mapping[str, str]) -> bool:
    actual = {"role.id": role_id, f"{one.actor}.id": one.actor_id}
    if one.target is Target.SYSTEM:
        actual["scope.system"] = one.target_id
    else:
        actual[f"scope.{one.target}.id"] = one.target_id
    return all(actual.get(name) == text for name, text in asked.items())


def _entry(
    call: Call, one: Assignment, given: Assignment, ids: Mapping[str, str], names: tuple[str, str] | None
) -> dict[str, Any]:
    """`given`: what it follows from, where that is another."""
    links = {"assignment": call.links.to(_path(given, ids))}
    if given.actor is not one.actor:
        links["membership"] = call.links.to(f"/groups/{given.actor_id}/users/{one.actor_id}")
    system = one.target is Target.SYSTEM
    scope: dict[str, Any] = {"all": True} if system else {"id": one.target_id}
    entry: dict[str, Any] = {
        "role": {"id": ids[one.role]},
        str(one.actor): {"id": one.actor_id},
        "scope": {str(one.target): scope},
        "links": links,
    }
    if names is not None:
        entry["role"]["name"] = one.role
        entry[one.actor].update(name=names[0], domain=DOMAIN)
        if one.target is Target.PROJECT:
            scope.update(name=names[1], domain=DOMAIN)
        elif not system:
            scope.update(DOMAIN)
    return entry


def _path(given: Assignment, ids: Mapping[str, str]) -> str:
    of = "/system" if given.target is Target.SYSTEM else f"/{given.target}s/{given.target_id}"
    return f"{of}/{given.actor}s/{given.actor_id}/roles/{ids[given.role]}"
