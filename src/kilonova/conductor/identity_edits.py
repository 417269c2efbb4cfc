# SPDX-License-Identifier: Apache-2.0
"""Users, groups, projects, roles and credentials: each edit is one transaction, and a repeat changes nothing.

An edit is refused that would leave no administrator of the cloud: only the owner of the database could repair that.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from kilonova.base.errors import Conflict, InvalidInput, Unauthorized
from kilonova.base.unset import UNSET, given
from kilonova.conductor import catalog_edits
from kilonova.db.readers import assignments as read_assignments
from kilonova.db.readers import identity as read
from kilonova.db.transaction import Transaction
from kilonova.db.writers import identity as write
from kilonova.identity.roles import IMPLIED
from kilonova.objects.identity import Actor, Target
from kilonova.rpcapi import api_to_conductor_identity as methods
from kilonova.rpcapi.method import Ack, Method

MOST_TAGS = 80
"""The limit of a project's tags, as in Identity."""
_TICK = timedelta(microseconds=1)


def create_user(tx: Transaction, request: methods.CreateUser, _now: datetime) -> None:
    """Raises Conflict."""
    if read.find_user(tx, user_id=request.user.id) == request.user:
        return
    _check_user_name(tx, request.user.name)
    write.insert_user(tx, request.user)


def update_user(tx: Transaction, request: methods.UpdateUser, now: datetime) -> None:
    """Raises NotFound, Conflict, Unauthorized (the old password is not the password that was checked)."""
    user = read.get_user(tx, request.user_id)
    if request.old_hash not in (None, user.password_hash) and request.password_hash != user.password_hash:
        raise Unauthorized("The original password is wrong.")
    values = given(request)
    if request.name is not UNSET and request.name != user.name:
        _check_user_name(tx, request.name)
    if request.extra is not UNSET:
        values["extra"] = {**user.extra, **request.extra}
    if request.password_hash not in (UNSET, user.password_hash) or (request.enabled is False and user.enabled):
        # Always different, also when the clock was set back: tokens are compared with it.
        values["tokens_from"] = now if user.tokens_from is None else max(now, user.tokens_from + _TICK)
    if values:
        write.update_user(tx, user.id, **values)
    _check_administrators(tx)


def delete_user(tx: Transaction, request: methods.DeleteUser, _now: datetime) -> None:
    """Raises Conflict."""
    write.delete_user(tx, request.user_id)
    _check_administrators(tx)


def create_project(tx: Transaction, request: methods.CreateProject, _now: datetime) -> None:
    """Raises Conflict."""
    if read.find_project(tx, project_id=request.project.id) == request.project:
        return
    _check_project_name(tx, request.project.name)
    _limited(request.project.tags)
    write.insert_project(tx, request.project)


def edit_project_tag(tx: Transaction, request: methods.EditTags, _now: datetime) -> None:
    """Raises NotFound, InvalidInput."""
    project = read.get_project(tx, request.project_id)
    tags = {*project.tags, request.tag} if request.there else {*project.tags} - {request.tag}
    write.update_project(tx, project.id, tags=list(_limited(tags)))


def update_project(tx: Transaction, request: methods.UpdateProject, _now: datetime) -> None:
    """Raises NotFound, Conflict."""
    project = read.get_project(tx, request.project_id)
    if request.name is not UNSET and request.name != project.name:
        _check_project_name(tx, request.name)
    values = given(request)
    if request.extra is not UNSET:
        values["extra"] = {**project.extra, **request.extra}
    if request.tags is not UNSET:
        values["tags"] = list(_limited(request.tags))
    if values:
        write.update_project(tx, project.id, **values)
    _check_administrators(tx)


def delete_project(tx: Transaction, request: methods.DeleteProject, _now: datetime) -> None:
    """Raises Conflict."""
    contents = read.contents_of(tx, request.project_id)
    if contents:
        raise Conflict(f"The project still has {_listed(contents)}: delete its content first.")
    write.delete_project(tx, request.project_id)
    _check_administrators(tx)


def assign_role(tx: Transaction, request: methods.EditRole, _now: datetime) -> None:
    """Raises NotFound."""
    assignment = request.assignment
    if assignment.actor is Actor.USER:
        read.get_user(tx, assignment.actor_id)
    else:
        read_assignments.get_group(tx, assignment.actor_id)
    if assignment.target is Target.PROJECT:
        read.get_project(tx, assignment.target_id)
    write.assign_role(tx, assignment)


def remove_role(tx: Transaction, request: methods.EditRole, _now: datetime) -> None:
    """Raises Conflict."""
    write.remove_role(tx, request.assignment)
    _check_administrators(tx)


def create_group(tx: Transaction, request: methods.CreateGroup, _now: datetime) -> None:
    """Raises Conflict."""
    if read_assignments.find_group(tx, group_id=request.group.id) == request.group:
        return
    _check_group_name(tx, request.group.name)
    write.insert_group(tx, request.group)


def update_group(tx: Transaction, request: methods.UpdateGroup, _now: datetime) -> None:
    """Raises NotFound, Conflict."""
    group = read_assignments.get_group(tx, request.group_id)
    if request.name is not UNSET and request.name != group.name:
        _check_group_name(tx, request.name)
    values = given(request)
    if request.extra is not UNSET:
        values["extra"] = {**group.extra, **request.extra}
    if values:
        write.update_group(tx, group.id, **values)


def delete_group(tx: Transaction, request: methods.DeleteGroup, _now: datetime) -> None:
    """Raises Conflict."""
    write.delete_group(tx, request.group_id)
    _check_administrators(tx)


def edit_member(tx: Transaction, request: methods.EditMember, _now: datetime) -> None:
    """Raises NotFound, Conflict."""
    read_assignments.get_group(tx, request.group_id)
    read.get_user(tx, request.user_id)
    if request.there:
        write.add_to_group(tx, request.group_id, request.user_id)
    else:
        write.remove_from_group(tx, request.group_id, request.user_id)
        _check_administrators(tx)


def create_role(tx: Transaction, request: methods.CreateRole, _now: datetime) -> None:
    """Raises Conflict."""
    if read_assignments.find_role(tx, request.role.id) == request.role:
        return
    _check_role_name(tx, request.role.name)
    write.insert_role(tx, request.role)


def update_role(tx: Transaction, request: methods.UpdateRole, _now: datetime) -> None:
    """Raises NotFound, Conflict."""
    role = read_assignments.get_role(tx, request.role.id)
    if request.role.name.casefold() != role.name.casefold():
        _check_role_name(tx, request.role.name)
    write.update_role(tx, role, request.role.name, request.role.description)


def delete_role(tx: Transaction, request: methods.DeleteRole, _now: datetime) -> None:
    role = read_assignments.find_role(tx, request.role_id)
    if role is not None:
        write.delete_role(tx, role)


def create_credential(tx: Transaction, request: methods.CreateCredential, _now: datetime) -> None:
    """Raises Conflict, NotFound, Unauthorized (the token of the request ended meanwhile)."""
    credential = request.credential
    if read.find_credential(tx, credential_id=credential.id) == credential:
        return
    user = read.get_user(tx, credential.user_id)
    if not user.enabled or user.tokens_from != request.tokens_from:
        raise Unauthorized("The token is no longer valid.")
    read.get_project(tx, credential.project_id)
    if read.find_credential(tx, user_id=credential.user_id, name=credential.name) is not None:
        raise Conflict(f"The user has an application credential called {credential.name} already.")
    write.insert_credential(tx, credential)


def delete_credential(tx: Transaction, request: methods.DeleteCredential, _now: datetime) -> None:
    write.delete_credential(tx, request.credential_id)


def revoke_token(tx: Transaction, request: methods.RevokeToken, _now: datetime) -> None:
    write.revoke_token(tx, request.audit_id, request.expires_at)


EDITS: Sequence[tuple[Method[Any, Ack], Callable[[Transaction, Any, datetime], None]]] = (
    (methods.CREATE_USER, create_user),
    (methods.UPDATE_USER, update_user),
    (methods.DELETE_USER, delete_user),
    (methods.CREATE_PROJECT, create_project),
    (methods.UPDATE_PROJECT, update_project),
    (methods.DELETE_PROJECT, delete_project),
    (methods.EDIT_PROJECT_TAG, edit_project_tag),
    (methods.CREATE_GROUP, create_group),
    (methods.UPDATE_GROUP, update_group),
    (methods.DELETE_GROUP, delete_group),
    (methods.EDIT_MEMBER, edit_member),
    (methods.CREATE_ROLE, create_role),
    (methods.UPDATE_ROLE, update_role),
    (methods.DELETE_ROLE, delete_role),
    (methods.PUT_ENTRIES, catalog_edits.put_entries),
    (methods.DELETE_ENTRY, catalog_edits.delete_entry),
    (methods.ASSIGN_ROLE, assign_role),
    (methods.REMOVE_ROLE, remove_role),
    (methods.CREATE_CREDENTIAL, create_credential),
    (methods.DELETE_CREDENTIAL, delete_credential),
    (methods.REVOKE_TOKEN, revoke_token),
)
"""The handlers by RPC method."""


def _check_user_name(tx: Transaction, name: str) -> None:
    if read.find_user(tx, name=name) is not None:
        raise Conflict(f"There is a user called {name} already.")


def _check_project_name(tx: Transaction, name: str) -> None:
    if read.find_project(tx, name=name) is not None:
        raise Conflict(f"There is a project called {name} already.")


def _check_group_name(tx: Transaction, name: str) -> None:
    if read_assignments.find_group(tx, name=name) is not None:
        raise Conflict(f"There is a group called {name} already.")


def _check_role_name(tx: Transaction, name: str) -> None:
    """Names that differ only in case are one name to the policy: a role "Admin" beside "admin" would be an
    administrator."""
    made = {role.name for role in read_assignments.made_roles(tx)}
    taken = {*IMPLIED, *made, *read_assignments.assigned_roles(tx)}
    if name.casefold() in {other.casefold() for other in taken}:
        raise Conflict(f"There is a role called {name} already.")


def _limited(tags: Iterable[str]) -> Sequence[str]:
    """The tags, sorted, each once.  Raises InvalidInput."""
    kept = sorted(set(tags))
    if len(kept) > MOST_TAGS:
        raise InvalidInput(f"A project has at most {MOST_TAGS} tags.", path="tags")
    return kept


def _check_administrators(tx: Transaction) -> None:
    """Called at the end of an edit: an error rolls its savepoint back."""
    if not read.has_administrator(tx):
        raise Conflict("This would leave no administrator of the cloud: make another administrator first.")


def _listed(contents: dict[str, list[str]]) -> str:
    return " and ".join(_counted(kind, names) for kind, names in contents.items())


def _counted(kind: str, names: list[str]) -> str:
    shown = ", ".join(names[: read.NAMED]) + (", ..." if len(names) > read.NAMED else "")
    return f"{len(names)} {kind}{'s' if len(names) > 1 else ''} ({shown})"
