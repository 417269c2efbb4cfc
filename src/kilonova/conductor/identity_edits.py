# SPDX-License-Identifier: Apache-2.0
"""Users, groups, projects, roles and credentials: each edit is one transaction, and a repeat of it changes nothing.

What would leave nobody who can administer the cloud is refused: only the database's owner could cure that.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from kilonova.base.errors import Conflict, InvalidInput, Unauthorized
from kilonova.conductor import catalog_edits
from kilonova.db.readers import assignments as read_assignments
from kilonova.db.readers import identity as read
from kilonova.db.writers import identity as write
from kilonova.identity.roles import IMPLIED
from kilonova.objects.identity import Actor, Target
from kilonova.rpcapi import identity as rows
from kilonova.rpcapi.method import Ack, Method

MOST_TAGS = 80
"""Of a project, as in Identity."""
_TICK = timedelta(microseconds=1)


def create_user(connection: sa.Connection, request: rows.CreateUser, _now: datetime) -> None:
    """Raises Conflict."""
    if read.find_user(connection, user_id=request.user.id) == request.user:
        return
    _check_user_name(connection, request.user.name)
    write.insert_user(connection, request.user)


def update_user(connection: sa.Connection, request: rows.UpdateUser, now: datetime) -> None:
    """Raises NotFound, Conflict, Unauthorized (the old password is no longer the one that was checked)."""
    user = read.get_user(connection, request.user_id)
    if request.old_hash not in (None, user.password_hash) and request.password_hash != user.password_hash:
        raise Unauthorized("The original password is wrong.")
    values = _given(request)
    values.pop("old_hash", None)
    if request.name not in (None, user.name):
        _check_user_name(connection, str(request.name))
    if request.default_project_id is not None:
        values["default_project_id"] = request.default_project_id or None
    if request.email is not None:
        values["email"] = request.email or None
    if request.extra is not None:
        values["extra"] = {**user.extra, **request.extra}
    if request.password_hash not in (None, user.password_hash) or (request.enabled is False and user.enabled):
        # Never the same twice, also when the clock was set back: tokens are compared with it.
        values["tokens_from"] = now if user.tokens_from is None else max(now, user.tokens_from + _TICK)
    if values:
        write.update_user(connection, user.id, **values)
    _check_administrators(connection)


def delete_user(connection: sa.Connection, request: rows.DeleteUser, _now: datetime) -> None:
    """Raises Conflict."""
    write.delete_user(connection, request.user_id)
    _check_administrators(connection)


def create_project(connection: sa.Connection, request: rows.CreateProject, _now: datetime) -> None:
    """Raises Conflict."""
    if read.find_project(connection, project_id=request.project.id) == request.project:
        return
    _check_project_name(connection, request.project.name)
    _limited(request.project.tags)
    write.insert_project(connection, request.project)


def edit_project_tag(connection: sa.Connection, request: rows.EditTags, _now: datetime) -> None:
    """Raises NotFound, InvalidInput."""
    project = read.get_project(connection, request.project_id)
    tags = {*project.tags, request.tag} if request.there else {*project.tags} - {request.tag}
    write.update_project(connection, project.id, tags=list(_limited(tags)))


def update_project(connection: sa.Connection, request: rows.UpdateProject, _now: datetime) -> None:
    """Raises NotFound, Conflict."""
    project = read.get_project(connection, request.project_id)
    if request.name not in (None, project.name):
        _check_project_name(connection, str(request.name))
    values = _given(request)
    if request.extra is not None:
        values["extra"] = {**project.extra, **request.extra}
    if request.tags is not None:
        values["tags"] = list(_limited(request.tags))
    if values:
        write.update_project(connection, project.id, **values)
    _check_administrators(connection)


def delete_project(connection: sa.Connection, request: rows.DeleteProject, _now: datetime) -> None:
    """Raises Conflict."""
    contents = read.contents_of(connection, request.project_id)
    if contents:
        raise Conflict(f"The project still has {_said(contents)}: delete what is in it first.")
    write.delete_project(connection, request.project_id)
    _check_administrators(connection)


def assign_role(connection: sa.Connection, request: rows.EditRole, _now: datetime) -> None:
    """Raises NotFound."""
    asked = request.assignment
    if asked.actor is Actor.USER:
        read.get_user(connection, asked.actor_id)
    else:
        read_assignments.get_group(connection, asked.actor_id)
    if asked.target is Target.PROJECT:
        read.get_project(connection, asked.target_id)
    write.assign_role(connection, asked)


def remove_role(connection: sa.Connection, request: rows.EditRole, _now: datetime) -> None:
    """Raises Conflict."""
    write.remove_role(connection, request.assignment)
    _check_administrators(connection)


def create_group(connection: sa.Connection, request: rows.CreateGroup, _now: datetime) -> None:
    """Raises Conflict."""
    if read_assignments.find_group(connection, group_id=request.group.id) == request.group:
        return
    _check_group_name(connection, request.group.name)
    write.insert_group(connection, request.group)


def update_group(connection: sa.Connection, request: rows.UpdateGroup, _now: datetime) -> None:
    """Raises NotFound, Conflict."""
    group = read_assignments.get_group(connection, request.group_id)
    if request.name not in (None, group.name):
        _check_group_name(connection, str(request.name))
    values = _given(request)
    if request.extra is not None:
        values["extra"] = {**group.extra, **request.extra}
    if values:
        write.update_group(connection, group.id, **values)


def delete_group(connection: sa.Connection, request: rows.DeleteGroup, _now: datetime) -> None:
    """Raises Conflict."""
    write.delete_group(connection, request.group_id)
    _check_administrators(connection)


def edit_member(connection: sa.Connection, request: rows.EditMember, _now: datetime) -> None:
    """Raises NotFound, Conflict."""
    read_assignments.get_group(connection, request.group_id)
    read.get_user(connection, request.user_id)
    if request.there:
        write.add_to_group(connection, request.group_id, request.user_id)
    else:
        write.remove_from_group(connection, request.group_id, request.user_id)
        _check_administrators(connection)


def create_role(connection: sa.Connection, request: rows.CreateRole, _now: datetime) -> None:
    """Raises Conflict."""
    if read_assignments.find_role(connection, request.role.id) == request.role:
        return
    _check_role_name(connection, request.role.name)
    write.insert_role(connection, request.role)


def update_role(connection: sa.Connection, request: rows.UpdateRole, _now: datetime) -> None:
    """Raises NotFound, Conflict."""
    role = read_assignments.get_role(connection, request.role.id)
    if request.role.name.casefold() != role.name.casefold():
        _check_role_name(connection, request.role.name)
    write.update_role(connection, role, request.role.name, request.role.description)


def delete_role(connection: sa.Connection, request: rows.DeleteRole, _now: datetime) -> None:
    role = read_assignments.find_role(connection, request.role_id)
    if role is not None:
        write.delete_role(connection, role)


def create_credential(connection: sa.Connection, request: rows.CreateCredential, _now: datetime) -> None:
    """Raises Conflict, NotFound, Unauthorized (the token that asked for it ended meanwhile)."""
    credential = request.credential
    if read.find_credential(connection, credential_id=credential.id) == credential:
        return
    user = read.get_user(connection, credential.user_id)
    if not user.enabled or user.tokens_from != request.tokens_from:
        raise Unauthorized("The token is no longer valid.")
    read.get_project(connection, credential.project_id)
    if read.find_credential(connection, user_id=credential.user_id, name=credential.name) is not None:
        raise Conflict(f"The user has an application credential called {credential.name} already.")
    write.insert_credential(connection, credential)


def delete_credential(connection: sa.Connection, request: rows.DeleteCredential, _now: datetime) -> None:
    write.delete_credential(connection, request.credential_id)


def revoke_token(connection: sa.Connection, request: rows.RevokeToken, now: datetime) -> None:
    write.revoke_token(connection, request.audit_id, request.expires_at, now)


EDITS: Sequence[tuple[Method[Any, Ack], Callable[[sa.Connection, Any, datetime], None]]] = (
    (rows.CREATE_USER, create_user),
    (rows.UPDATE_USER, update_user),
    (rows.DELETE_USER, delete_user),
    (rows.CREATE_PROJECT, create_project),
    (rows.UPDATE_PROJECT, update_project),
    (rows.DELETE_PROJECT, delete_project),
    (rows.EDIT_PROJECT_TAG, edit_project_tag),
    (rows.CREATE_GROUP, create_group),
    (rows.UPDATE_GROUP, update_group),
    (rows.DELETE_GROUP, delete_group),
    (rows.EDIT_MEMBER, edit_member),
    (rows.CREATE_ROLE, create_role),
    (rows.UPDATE_ROLE, update_role),
    (rows.DELETE_ROLE, delete_role),
    (rows.PUT_ENTRIES, catalog_edits.put_entries),
    (rows.DELETE_ENTRY, catalog_edits.delete_entry),
    (rows.ASSIGN_ROLE, assign_role),
    (rows.REMOVE_ROLE, remove_role),
    (rows.CREATE_CREDENTIAL, create_credential),
    (rows.DELETE_CREDENTIAL, delete_credential),
    (rows.REVOKE_TOKEN, revoke_token),
)
"""Who serves which row."""


def _given(request: rows.UpdateUser | rows.UpdateProject | rows.UpdateGroup) -> dict[str, Any]:
    """What an update names, but for whom it is."""
    members = {field.name: getattr(request, field.name) for field in fields(request)[1:]}
    return {name: value for name, value in members.items() if value is not None}


def _check_user_name(connection: sa.Connection, name: str) -> None:
    if read.find_user(connection, name=name) is not None:
        raise Conflict(f"There is a user called {name} already.")


def _check_project_name(connection: sa.Connection, name: str) -> None:
    if read.find_project(connection, name=name) is not None:
        raise Conflict(f"There is a project called {name} already.")


def _check_group_name(connection: sa.Connection, name: str) -> None:
    if read_assignments.find_group(connection, name=name) is not None:
        raise Conflict(f"There is a group called {name} already.")


def _check_role_name(connection: sa.Connection, name: str) -> None:
    """Names that differ only in case are one name to the policy: a second "Admin" would be an administrator."""
    made = {role.name for role in read_assignments.made_roles(connection)}
    taken = {*IMPLIED, *made, *read_assignments.assigned_roles(connection)}
    if name.casefold() in {other.casefold() for other in taken}:
        raise Conflict(f"There is a role called {name} already.")


def _limited(tags: Iterable[str]) -> Sequence[str]:
    """Sorted, each once.  Raises InvalidInput."""
    kept = sorted(set(tags))
    if len(kept) > MOST_TAGS:
        raise InvalidInput(f"A project has at most {MOST_TAGS} tags.", path="tags")
    return kept


def _check_administrators(connection: sa.Connection) -> None:
    """At the end of an edit: its savepoint is rolled back by what this raises."""
    if not read.has_administrator(connection):
        raise Conflict("This would leave nobody who can administer the cloud: make another administrator first.")


def _said(contents: dict[str, list[str]]) -> str:
    return " and ".join(_counted(kind, names) for kind, names in contents.items())


def _counted(kind: str, names: list[str]) -> str:
    shown = ", ".join(names[: read.NAMED]) + (", ..." if len(names) > read.NAMED else "")
    return f"{len(names)} {kind}{'s' if len(names) > 1 else ''} ({shown})"
