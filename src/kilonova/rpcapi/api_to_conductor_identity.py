# SPDX-License-Identifier: Apache-2.0
"""Calls of the API to the conductor about users, groups, projects, roles, credentials and the service catalog."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kilonova.base.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthorized
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
from kilonova.rpcapi.method import Ack, Method


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
    """Whether a user shall be in a group."""

    group_id: str
    user_id: str
    there: bool


@dataclass(frozen=True, slots=True)
class CreateRole:
    role: Role


@dataclass(frozen=True, slots=True)
class UpdateRole:
    """Replaces the role `role.id`."""

    role: Role


@dataclass(frozen=True, slots=True)
class DeleteRole:
    role_id: str


@dataclass(frozen=True, slots=True)
class PutEntries:
    """New entries; an entry replaces the one with the same id."""

    entries: tuple[CatalogEntry, ...]


@dataclass(frozen=True, slots=True)
class DeleteEntry:
    """A service is deleted with its endpoints, a region with the regions below it."""

    kind: EntryKind
    entry_id: str


@dataclass(frozen=True, slots=True)
class CreateCredential:
    """`tokens_from` is the one of the caller's token."""

    credential: ApplicationCredential
    tokens_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeleteCredential:
    credential_id: str


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """`expires_at` is when the token expires without a revocation."""

    audit_id: str
    expires_at: datetime


CREATE_USER = Method(
    SUBJECT, "create_user", CreateUser, Ack, "Record a user. Conflict: the name is taken.", (Conflict,)
)
UPDATE_USER = Method(
    SUBJECT,
    "update_user",
    UpdateUser,
    Ack,
    "Update a user. Conflict: the name is taken, or no administrator would be left. Unauthorized: wrong `old_hash`.",
    (NotFound, Conflict, Unauthorized),
)
DELETE_USER = Method(
    SUBJECT,
    "delete_user",
    DeleteUser,
    Ack,
    "Delete a user with roles, credentials and key pairs. Conflict: no administrator would be left.",
    (Conflict,),
)
CREATE_PROJECT = Method(
    SUBJECT,
    "create_project",
    CreateProject,
    Ack,
    "Record a project. Conflict: the name is taken.",
    (Conflict, InvalidInput),
)
UPDATE_PROJECT = Method(
    SUBJECT,
    "update_project",
    UpdateProject,
    Ack,
    "Update a project. Conflict: the name is taken, or no administrator would be left.",
    (NotFound, Conflict, InvalidInput),
)
DELETE_PROJECT = Method(
    SUBJECT,
    "delete_project",
    DeleteProject,
    Ack,
    "Delete a project. Conflict: something is in it (the message lists it), or no administrator would be left.",
    (Conflict,),
)
EDIT_PROJECT_TAG = Method(
    SUBJECT,
    "edit_project_tag",
    EditTags,
    Ack,
    "Add a tag to a project, or remove it. InvalidInput: too many tags.",
    (NotFound, InvalidInput),
)
CREATE_GROUP = Method(
    SUBJECT, "create_group", CreateGroup, Ack, "Record a group. Conflict: the name is taken.", (Conflict,)
)
UPDATE_GROUP = Method(
    SUBJECT, "update_group", UpdateGroup, Ack, "Update a group. Conflict: the name is taken.", (NotFound, Conflict)
)
DELETE_GROUP = Method(
    SUBJECT, "delete_group", DeleteGroup, Ack, "Delete a group. Conflict: no administrator would be left.", (Conflict,)
)
EDIT_MEMBER = Method(
    SUBJECT,
    "edit_member",
    EditMember,
    Ack,
    "Add a user to a group, or remove the user. Conflict: no administrator would be left.",
    (NotFound, Conflict),
)
CREATE_ROLE = Method(
    SUBJECT, "create_role", CreateRole, Ack, "Record a role. Conflict: the name is taken.", (Conflict,)
)
UPDATE_ROLE = Method(
    SUBJECT, "update_role", UpdateRole, Ack, "Update a role. Conflict: the name is taken.", (NotFound, Conflict)
)
DELETE_ROLE = Method(SUBJECT, "delete_role", DeleteRole, Ack, "Delete a role and its assignments.")
PUT_ENTRIES = Method(
    SUBJECT,
    "put_catalog_entries",
    PutEntries,
    Ack,
    "Record regions, services and endpoints: after the reply, every new catalog has them.",
)
DELETE_ENTRY = Method(
    SUBJECT,
    "delete_catalog_entry",
    DeleteEntry,
    Ack,
    "Delete a region, a service or an endpoint. Forbidden: the region has endpoints.",
    (Forbidden,),
)
ASSIGN_ROLE = Method(
    SUBJECT,
    "assign_role",
    EditRole,
    Ack,
    "Assign a role to a user or a group. NotFound: the user, the group or the project.",
    (NotFound,),
)
REMOVE_ROLE = Method(
    SUBJECT,
    "remove_role",
    EditRole,
    Ack,
    "Remove a role assignment. Conflict: no administrator would be left.",
    (Conflict,),
)
CREATE_CREDENTIAL = Method(
    SUBJECT,
    "create_credential",
    CreateCredential,
    Ack,
    "Record an application credential. Conflict: the name is taken. Unauthorized: the token was revoked meanwhile.",
    (Conflict, NotFound, Unauthorized),
)
DELETE_CREDENTIAL = Method(SUBJECT, "delete_credential", DeleteCredential, Ack, "Delete an application credential.")
REVOKE_TOKEN = Method(
    SUBJECT, "revoke_token", RevokeToken, Ack, "Revoke a token: after the reply, the revocation is on disk."
)
