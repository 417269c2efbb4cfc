# SPDX-License-Identifier: Apache-2.0
"""What the API asks of the conductor about users, groups, projects, roles, credentials and the service catalog."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kilonova.base.unset import UNSET, OrUnset
from kilonova.objects.identity import (
    ApplicationCredential,
    Assignment,
    CatalogEntry,
    EntryKind,
    Group,
    Project,
    Role,
    User,
)
from kilonova.rpcapi.api_to_conductor import SUBJECT
from kilonova.rpcapi.method import Ack, Caller, Method


@dataclass(frozen=True, slots=True)
class CreateUser:
    user: User


@dataclass(frozen=True, slots=True)
class UpdateUser:
    """Unset fields do not change; `extra` is merged into the stored one.  A new password, or `enabled` False, revokes
    the tokens that the user has.  `old_hash`: the update is refused unless the password still has this hash."""

    user_id: str
    name: OrUnset[str] = UNSET
    password_hash: OrUnset[str] = UNSET
    default_project_id: OrUnset[str | None] = UNSET
    description: OrUnset[str] = UNSET
    enabled: OrUnset[bool] = UNSET
    email: OrUnset[str | None] = UNSET
    extra: OrUnset[Mapping[str, Any]] = UNSET
    old_hash: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteUser:
    user_id: str


@dataclass(frozen=True, slots=True)
class CreateProject:
    project: Project


@dataclass(frozen=True, slots=True)
class UpdateProject:
    """Unset fields do not change; `extra` is merged into the stored one."""

    project_id: str
    name: OrUnset[str] = UNSET
    description: OrUnset[str] = UNSET
    enabled: OrUnset[bool] = UNSET
    extra: OrUnset[Mapping[str, Any]] = UNSET
    tags: OrUnset[tuple[str, ...]] = UNSET


@dataclass(frozen=True, slots=True)
class EditTags:
    """One tag of a project."""

    project_id: str
    tag: str
    there: bool


@dataclass(frozen=True, slots=True)
class DeleteProject:
    project_id: str


@dataclass(frozen=True, slots=True)
class EditRole:
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class CreateGroup:
    group: Group


@dataclass(frozen=True, slots=True)
class UpdateGroup:
    """Unset fields do not change; `extra` is merged into the stored one."""

    group_id: str
    name: OrUnset[str] = UNSET
    description: OrUnset[str] = UNSET
    extra: OrUnset[Mapping[str, Any]] = UNSET


@dataclass(frozen=True, slots=True)
class DeleteGroup:
    group_id: str


@dataclass(frozen=True, slots=True)
class EditMember:
    """Whether a user is to be in a group."""

    group_id: str
    user_id: str
    there: bool


@dataclass(frozen=True, slots=True)
class CreateRole:
    role: Role


@dataclass(frozen=True, slots=True)
class UpdateRole:
    """What the role `role.id` becomes."""

    role: Role


@dataclass(frozen=True, slots=True)
class DeleteRole:
    role_id: str


@dataclass(frozen=True, slots=True)
class PutEntries:
    """New entries, or in place of those of their ids."""

    entries: tuple[CatalogEntry, ...]


@dataclass(frozen=True, slots=True)
class DeleteEntry:
    """With a service go its endpoints, with a region those below it."""

    kind: EntryKind
    entry_id: str


@dataclass(frozen=True, slots=True)
class CreateCredential:
    """`tokens_from`: that of the token which asks for it."""

    credential: ApplicationCredential
    tokens_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeleteCredential:
    credential_id: str


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """`expires_at`: after it the token is over by itself."""

    audit_id: str
    expires_at: datetime


CREATE_USER = Method("create_user", CreateUser, Ack, "Record a user; Conflict if the name is taken.")
UPDATE_USER = Method("update_user", UpdateUser, Ack, "Change a user; Conflict for the last administrator.")
DELETE_USER = Method("delete_user", DeleteUser, Ack, "Forget a user, with roles, credentials and key pairs.")
CREATE_PROJECT = Method("create_project", CreateProject, Ack, "Record a project; Conflict if the name is taken.")
UPDATE_PROJECT = Method("update_project", UpdateProject, Ack, "Change a project; Conflict for the last administrator.")
DELETE_PROJECT = Method("delete_project", DeleteProject, Ack, "Forget a project; Conflict while anything is in it.")
EDIT_PROJECT_TAG = Method("edit_project_tag", EditTags, Ack, "Put a tag on a project, or take it away.")
CREATE_GROUP = Method("create_group", CreateGroup, Ack, "Record a group; Conflict if the name is taken.")
UPDATE_GROUP = Method("update_group", UpdateGroup, Ack, "Change a group; Conflict if the name is taken.")
DELETE_GROUP = Method("delete_group", DeleteGroup, Ack, "Forget a group; Conflict for the last administrator.")
EDIT_MEMBER = Method("edit_member", EditMember, Ack, "Put a user into a group, or take him out.")
CREATE_ROLE = Method("create_role", CreateRole, Ack, "Record a role; Conflict if the name is taken.")
UPDATE_ROLE = Method("update_role", UpdateRole, Ack, "Change a role; Conflict if the name is taken.")
DELETE_ROLE = Method("delete_role", DeleteRole, Ack, "Forget a role, and take it from all.")
PUT_ENTRIES = Method("put_catalog_entries", PutEntries, Ack, "Record regions, services, endpoints.")
DELETE_ENTRY = Method("delete_catalog_entry", DeleteEntry, Ack, "Forget a region, a service or an endpoint.")
ASSIGN_ROLE = Method("assign_role", EditRole, Ack, "Give a user or a group a role.")
REMOVE_ROLE = Method("remove_role", EditRole, Ack, "Take a role away; Conflict for the last administrator.")
CREATE_CREDENTIAL = Method("create_credential", CreateCredential, Ack, "Record an application credential.")
DELETE_CREDENTIAL = Method("delete_credential", DeleteCredential, Ack, "Forget an application credential.")
REVOKE_TOKEN = Method("revoke_token", RevokeToken, Ack, "Let a token count no longer.")


class IdentityAPI:
    """The API's end.  Each is safe to send again: ids are the caller's, and a repeat of what was done is accepted."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create_user(self, user: User) -> None:
        """Raises Conflict."""
        await self._call(CREATE_USER, CreateUser(user))

    async def update_user(self, request: UpdateUser) -> None:
        """Raises NotFound, Conflict (the name is taken; nobody would be administrator any more), Unauthorized (of
        `old_hash`)."""
        await self._call(UPDATE_USER, request)

    async def delete_user(self, user_id: str) -> None:
        """Raises Conflict (nobody would be administrator any more).  That there is none is no error."""
        await self._call(DELETE_USER, DeleteUser(user_id))

    async def create_project(self, project: Project) -> None:
        """Raises Conflict."""
        await self._call(CREATE_PROJECT, CreateProject(project))

    async def update_project(self, request: UpdateProject) -> None:
        """Raises NotFound, Conflict (the name is taken; nobody would be administrator any more)."""
        await self._call(UPDATE_PROJECT, request)

    async def delete_project(self, project_id: str) -> None:
        """Raises Conflict, which says what is in it.  That there is none is no error."""
        await self._call(DELETE_PROJECT, DeleteProject(project_id))

    async def edit_project_tag(self, project_id: str, tag: str, *, there: bool) -> None:
        """Raises NotFound (the project), InvalidInput (too many tags)."""
        await self._call(EDIT_PROJECT_TAG, EditTags(project_id, tag, there))

    async def create_group(self, group: Group) -> None:
        """Raises Conflict."""
        await self._call(CREATE_GROUP, CreateGroup(group))

    async def update_group(self, request: UpdateGroup) -> None:
        """Raises NotFound, Conflict (the name is taken)."""
        await self._call(UPDATE_GROUP, request)

    async def delete_group(self, group_id: str) -> None:
        """Raises Conflict (nobody would be administrator any more).  That there is none is no error."""
        await self._call(DELETE_GROUP, DeleteGroup(group_id))

    async def edit_member(self, group_id: str, user_id: str, *, there: bool) -> None:
        """Raises NotFound (either), Conflict (nobody would be administrator any more)."""
        await self._call(EDIT_MEMBER, EditMember(group_id, user_id, there))

    async def create_role(self, role: Role) -> None:
        """Raises Conflict."""
        await self._call(CREATE_ROLE, CreateRole(role))

    async def update_role(self, role: Role) -> None:
        """Raises NotFound, Conflict (the name is taken)."""
        await self._call(UPDATE_ROLE, UpdateRole(role))

    async def delete_role(self, role_id: str) -> None:
        """That there is none is no error."""
        await self._call(DELETE_ROLE, DeleteRole(role_id))

    async def put_entries(self, *entries: CatalogEntry) -> None:
        """When this returns, they are in the catalog of every token."""
        await self._call(PUT_ENTRIES, PutEntries(entries))

    async def delete_entry(self, kind: EntryKind, entry_id: str) -> None:
        """Raises Forbidden (a region that endpoints are in).  That there is none is no error."""
        await self._call(DELETE_ENTRY, DeleteEntry(kind, entry_id))

    async def assign_role(self, assignment: Assignment) -> None:
        """Raises NotFound (the user or the group, the project)."""
        await self._call(ASSIGN_ROLE, EditRole(assignment))

    async def remove_role(self, assignment: Assignment) -> None:
        """Raises Conflict (nobody would be administrator any more).  That it was not given is no error."""
        await self._call(REMOVE_ROLE, EditRole(assignment))

    async def create_credential(self, credential: ApplicationCredential, tokens_from: datetime | None) -> None:
        """Raises Conflict (the name is taken), NotFound (the user, the project), Unauthorized (tokens of `tokens_from`
        ended)."""
        await self._call(CREATE_CREDENTIAL, CreateCredential(credential, tokens_from))

    async def delete_credential(self, credential_id: str) -> None:
        """That there is none is no error."""
        await self._call(DELETE_CREDENTIAL, DeleteCredential(credential_id))

    async def revoke_token(self, audit_id: str, expires_at: datetime) -> None:
        """When this returns, it is on disk that the token does not count."""
        await self._call(REVOKE_TOKEN, RevokeToken(audit_id, expires_at))

    async def _call(self, method: Method[Any, Ack], request: Any) -> None:
        await self._caller.call(SUBJECT, method, request)
