# SPDX-License-Identifier: Apache-2.0
"""Role assignments: roles of users and groups in projects, on the domain and on the system.

A token has roles on the domain or on the system only when its scope is that domain or system (`auth`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NotRequired

from typing_extensions import TypedDict

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import Route
from kilonova.api.http.views import OMIT, Member, View
from kilonova.api.identity import roles
from kilonova.api.identity.domain import DOMAIN, DomainReference, check_domain, collection
from kilonova.api.identity.filters import flag
from kilonova.api.identity.routing import ADMIN, GROUP, PROJECT, SYSTEM, USER, P, list_route
from kilonova.api.identity.routing import DOMAIN as DOMAIN_READER
from kilonova.api.identity.token_cache import apply_change
from kilonova.base.errors import NotFound
from kilonova.db.readers import assignments as readers
from kilonova.db.readers.identity import get_project, get_user
from kilonova.identity.roles import with_implied
from kilonova.objects.identity import DOMAIN_ID, SYSTEM_ID, Actor, Assignment, Target
from kilonova.rpcapi import api_to_conductor_identity as methods

_FILTERS = ("user.id", "group.id", "role.id", "scope.project.id", "scope.domain.id", "scope.system")
INHERITED = "scope.OS-INHERIT:inherited_to"
ARGUMENTS = frozenset({*_FILTERS, INHERITED, "effective", "include_names", "include_subtree"})


async def _assignment_of_path(call: Call) -> Assignment:
    """The actor and the target that the path names, with an empty role.  Raises NotFound unless both exist."""
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


async def _assigned_roles(call: Call, path: Assignment) -> list[str]:
    return await call.db.read(readers.given_roles, path.actor, path.actor_id, path.target, path.target_id)


async def grant(call: Call) -> Reply:
    """Assign a role to a user or a group on a project, the domain or the system."""
    role = await roles.find(call)
    assignment = replace(await _assignment_of_path(call), role=role.name)
    await apply_change(call, methods.ASSIGN_ROLE, methods.EditRole(assignment))
    return Reply()


async def check(call: Call) -> Reply:
    """Check a direct role assignment: 204, or 404 when there is none.  Roles by a group or by implication do not
    count."""
    await _existing(call)
    return Reply()


async def revoke(call: Call) -> Reply:
    """Remove a role assignment.  Existing tokens lose the role immediately."""
    await apply_change(call, methods.REMOVE_ROLE, methods.EditRole(await _existing(call)))
    return Reply()


async def _existing(call: Call) -> Assignment:
    """The assignment of the path.  Raises NotFound."""
    role = await roles.find(call)
    assignment = replace(await _assignment_of_path(call), role=role.name)
    if assignment.role not in await _assigned_roles(call, assignment):
        raise NotFound(f"The {assignment.actor} has no role {assignment.role} in this {assignment.target}.")
    return assignment


async def list_assigned(call: Call) -> Reply:
    """List the directly assigned roles of a user or a group, without implied roles."""
    names = await _assigned_roles(call, await _assignment_of_path(call))
    known = await roles.known_roles(call)
    return roles.ROLES.reply([roles.ROLE.show(role, call) for role in known.values() if role.name in names], call)


async def list_all(call: Call) -> Reply:
    """List role assignments.  With `effective`, users' roles include those of their groups and implied roles.
    Assignments of a kind of a newer version are left out."""
    effective, with_names = bool(flag(call.query, "effective")), bool(flag(call.query, "include_names"))
    ids = await roles.role_ids(call)
    filters = {name: text for name in _FILTERS if (text := call.query.text(name)) is not None}
    if call.query.text(INHERITED) is not None:  # inherited assignments are not supported
        return _ASSIGNMENTS.reply([], call)
    found: dict[Assignment, _Entry] = {}
    for given, *names in await call.db.read(readers.list_assignments):
        for one, actor_name in [(given, names[0])] if not effective else await _effective(call, given, names[0]):
            if one.actor.is_known and one.target.is_known and _matches(one, ids[one.role], filters):
                found[one] = _Entry(one, given, ids, (actor_name, names[1]) if with_names else None)
    return _ASSIGNMENTS.reply([_ASSIGNMENT.show(entry, call) for entry in found.values()], call)


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


def _matches(one: Assignment, role_id: str, filters: Mapping[str, str]) -> bool:
    actual = {"role.id": role_id, f"{one.actor}.id": one.actor_id}
    if one.target is Target.SYSTEM:
        actual["scope.system"] = one.target_id
    else:
        actual[f"scope.{one.target}.id"] = one.target_id
    return all(actual.get(name) == text for name, text in filters.items())


class AssignedRole(TypedDict):
    """The role of an assignment; `name` with `include_names`."""

    id: str
    name: NotRequired[str]


class AssignmentParty(TypedDict):
    """A user, a group, a project or a domain of an assignment; names with `include_names`."""

    id: str
    name: NotRequired[str]
    domain: NotRequired[DomainReference]


class WholeSystem(TypedDict):
    """The system as the scope of an assignment or a token."""

    all: bool


class AssignmentScope(TypedDict, total=False):
    """Exactly one member."""

    project: AssignmentParty
    domain: AssignmentParty
    system: WholeSystem


class AssignmentLinks(TypedDict):
    """`membership` if a user has the role by a group."""

    assignment: str
    membership: NotRequired[str]


@dataclass(frozen=True, slots=True)
class _Entry:
    """`given` is the direct assignment from which `one` follows; they are equal unless the list is effective.  `names`
    has the names of the actor and of the project."""

    one: Assignment
    given: Assignment
    role_ids: Mapping[str, str]
    names: tuple[str, str] | None

    def role(self) -> AssignedRole:
        role: AssignedRole = {"id": self.role_ids[self.one.role]}
        return role if self.names is None else {**role, "name": self.one.role}

    def actor(self, kind: Actor) -> object:
        if self.one.actor is not kind:
            return OMIT
        return _party(self.one.actor_id, None if self.names is None else self.names[0])

    def scope(self) -> AssignmentScope:
        match self.one.target:
            case Target.SYSTEM:
                return {"system": {"all": True}}
            case Target.PROJECT:
                return {"project": _party(self.one.target_id, None if self.names is None else self.names[1])}
            case Target.DOMAIN:
                domain: AssignmentParty = {"id": self.one.target_id}
                return {"domain": domain if self.names is None else {**domain, "name": DOMAIN["name"]}}

    def links(self, call: Call) -> AssignmentLinks:
        links: AssignmentLinks = {"assignment": call.links.to(_path(self.given, self.role_ids))}
        if self.given.actor is not self.one.actor:
            links["membership"] = call.links.to(f"/groups/{self.given.actor_id}/users/{self.one.actor_id}")
        return links


def _party(party_id: str, name: str | None) -> AssignmentParty:
    return {"id": party_id} if name is None else {"id": party_id, "name": name, "domain": DOMAIN}


def _path(given: Assignment, ids: Mapping[str, str]) -> str:
    of = "/system" if given.target is Target.SYSTEM else f"/{given.target}s/{given.target_id}"
    return f"{of}/{given.actor}s/{given.actor_id}/roles/{ids[given.role]}"


_ASSIGNMENT = View[_Entry, Call](
    "RoleAssignment",
    Member("role", AssignedRole, lambda entry, _: entry.role()),
    Member("user", AssignmentParty, lambda entry, _: entry.actor(Actor.USER), optional=True),
    Member("group", AssignmentParty, lambda entry, _: entry.actor(Actor.GROUP), optional=True),
    Member("scope", AssignmentScope, lambda entry, _: entry.scope()),
    Member("links", AssignmentLinks, lambda entry, call: entry.links(call)),
)
_ASSIGNMENTS = collection("role_assignments", _ASSIGNMENT)


def _grants() -> Iterator[Route]:
    """Routes for roles of users and of groups, in projects, on the domain and on the system."""
    for where, of in ((PROJECT, "grant{}"), ("/domains/{domain_id}", "grant{}"), ("/system", "system_grant{}_for_")):
        reader = SYSTEM if where == "/system" else DOMAIN_READER
        for whose, actor in ((USER, "user"), (GROUP, "group")):
            path, name = f"{where}{whose}/roles", of + (actor if where == "/system" else "")
            yield list_route(path, list_assigned, "list_" + name.format("s"), reader, roles.ROLES)
            yield Route("GET", path + "/{role_id}", check, P + "check_" + name.format(""), reader, 204)
            yield Route("PUT", path + "/{role_id}", grant, P + "create_" + name.format(""), ADMIN, 204)
            yield Route("DELETE", path + "/{role_id}", revoke, P + "revoke_" + name.format(""), ADMIN, 204)


ROUTES = (
    list_route("/role_assignments", list_all, "list_role_assignments", DOMAIN_READER, _ASSIGNMENTS, ARGUMENTS),
    *_grants(),
)
