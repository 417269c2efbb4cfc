# SPDX-License-Identifier: Apache-2.0
"""Writing users, groups, projects, roles, application credentials, and additions to the service catalog."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kilonova.db.codec import ASSIGNMENTS, CREDENTIALS, ENTRIES, GROUPS, PROJECTS, ROLES, USERS
from kilonova.db.schema import (
    application_credentials,
    assignments,
    catalog_entries,
    flavor_access,
    group_members,
    groups,
    image_members,
    keypairs,
    projects,
    quota_usages,
    quotas,
    revoked_tokens,
    roles,
    users,
)
from kilonova.db.transaction import Transaction
from kilonova.objects.identity import (
    Actor,
    ApplicationCredential,
    Assignment,
    CatalogEntry,
    EntryKind,
    Group,
    Project,
    Role,
    Target,
    User,
)


def insert_project(tx: Transaction, project: Project) -> None:
    tx.execute(sa.insert(projects).values(PROJECTS.dump(project)))


def insert_user(tx: Transaction, user: User) -> None:
    tx.execute(sa.insert(users).values(USERS.dump(user)))


def update_user(tx: Transaction, user_id: str, **values: Any) -> None:
    tx.execute(sa.update(users).where(users.c.id == user_id).values(**values))


def update_project(tx: Transaction, project_id: str, **values: Any) -> None:
    tx.execute(sa.update(projects).where(projects.c.id == project_id).values(**values))


def delete_user(tx: Transaction, user_id: str) -> None:
    """Delete a user with the user's roles, credentials, key pairs and group memberships."""
    for table in (group_members, application_credentials, keypairs):
        tx.execute(sa.delete(table).where(table.c.user_id == user_id))
    _forget_actor(tx, Actor.USER, user_id)
    tx.execute(sa.delete(users).where(users.c.id == user_id))


def delete_project(tx: Transaction, project_id: str) -> None:
    """Delete a project with its roles, credentials, quotas, and its access to flavors and shared images."""
    for table in (application_credentials, quotas, quota_usages, flavor_access, image_members):
        tx.execute(sa.delete(table).where(table.c.project_id == project_id))
    there = (assignments.c.target == Target.PROJECT, assignments.c.target_id == project_id)
    tx.execute(sa.delete(assignments).where(*there))
    default_of = users.c.default_project_id == project_id
    tx.execute(sa.update(users).where(default_of).values(default_project_id=None))
    tx.execute(sa.delete(projects).where(projects.c.id == project_id))


def insert_group(tx: Transaction, group: Group) -> None:
    tx.execute(sa.insert(groups).values(GROUPS.dump(group)))


def update_group(tx: Transaction, group_id: str, **values: Any) -> None:
    tx.execute(sa.update(groups).where(groups.c.id == group_id).values(**values))


def delete_group(tx: Transaction, group_id: str) -> None:
    """Delete a group with its roles; its users stay."""
    tx.execute(sa.delete(group_members).where(group_members.c.group_id == group_id))
    _forget_actor(tx, Actor.GROUP, group_id)
    tx.execute(sa.delete(groups).where(groups.c.id == group_id))


def add_to_group(tx: Transaction, group_id: str, user_id: str) -> None:
    """Add a user to a group.  A repeat changes nothing."""
    both = (group_members.c.group_id == group_id, group_members.c.user_id == user_id)
    if tx.execute(sa.select(group_members).where(*both)).first() is None:
        tx.execute(sa.insert(group_members).values(group_id=group_id, user_id=user_id))


def remove_from_group(tx: Transaction, group_id: str, user_id: str) -> None:
    both = (group_members.c.group_id == group_id, group_members.c.user_id == user_id)
    tx.execute(sa.delete(group_members).where(*both))


def _forget_actor(tx: Transaction, actor: Actor, actor_id: str) -> None:
    tx.execute(sa.delete(assignments).where(assignments.c.actor == actor, assignments.c.actor_id == actor_id))


def insert_role(tx: Transaction, role: Role) -> None:
    tx.execute(sa.insert(roles).values(ROLES.dump(role)))


def update_role(tx: Transaction, role: Role, name: str, description: str | None) -> None:
    """Change a role.  A new name applies to all its assignments."""
    tx.execute(sa.update(roles).where(roles.c.id == role.id).values(name=name, description=description))
    if name != role.name:
        tx.execute(sa.update(assignments).where(assignments.c.role == role.name).values(role=name))
        _in_credentials(tx, role.name, (name,))


def delete_role(tx: Transaction, role: Role) -> None:
    """Delete a role and all its assignments."""
    tx.execute(sa.delete(assignments).where(assignments.c.role == role.name))
    _in_credentials(tx, role.name, ())
    tx.execute(sa.delete(roles).where(roles.c.id == role.id))


def _in_credentials(tx: Transaction, name: str, becomes: tuple[str, ...]) -> None:
    table = application_credentials
    for row in tx.execute(sa.select(table.c.id, table.c.roles)).all():
        if name in row.roles:
            kept = sorted({*(role for role in row.roles if role != name), *becomes})
            tx.execute(sa.update(table).where(table.c.id == row.id).values(roles=kept))


def assign_role(tx: Transaction, assignment: Assignment) -> None:
    """Assign the role.  A repeat changes nothing."""
    if tx.execute(sa.select(assignments).where(_is(assignment))).first() is None:
        tx.execute(sa.insert(assignments).values(ASSIGNMENTS.dump(assignment)))


def remove_role(tx: Transaction, assignment: Assignment) -> None:
    tx.execute(sa.delete(assignments).where(_is(assignment)))


def _is(assignment: Assignment) -> sa.ColumnElement[bool]:
    return sa.and_(*(assignments.c[name] == value for name, value in ASSIGNMENTS.dump(assignment).items()))


def insert_credential(tx: Transaction, credential: ApplicationCredential) -> None:
    tx.execute(sa.insert(application_credentials).values(CREDENTIALS.dump(credential)))


def delete_credential(tx: Transaction, credential_id: str) -> None:
    tx.execute(sa.delete(application_credentials).where(application_credentials.c.id == credential_id))


def put_entry(tx: Transaction, entry: CatalogEntry) -> None:
    """Record an entry, or replace the entry with the same id."""
    tx.execute(sa.delete(catalog_entries).where(_entry(entry.kind, entry.id)))
    tx.execute(sa.insert(catalog_entries).values(ENTRIES.dump(entry)))


def delete_entry(tx: Transaction, kind: EntryKind, entry_id: str) -> None:
    tx.execute(sa.delete(catalog_entries).where(_entry(kind, entry_id)))


def _entry(kind: EntryKind, entry_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(catalog_entries.c.kind == kind, catalog_entries.c.id == entry_id)


def revoke_token(tx: Transaction, audit_id: str, expires_at: datetime) -> None:
    """Record the revocation until the token expires; the purge deletes it then."""
    if tx.execute(sa.select(revoked_tokens).where(revoked_tokens.c.audit_id == audit_id)).first() is None:
        tx.execute(sa.insert(revoked_tokens).values(audit_id=audit_id, expires_at=expires_at))
