# SPDX-License-Identifier: Apache-2.0
"""Writing users, projects, roles and application credentials."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kilonova.db.schema import (
    application_credentials,
    flavor_access,
    keypairs,
    projects,
    quota_usages,
    quotas,
    revoked_tokens,
    role_assignments,
    users,
)
from kilonova.objects.identity import ApplicationCredential, Assignment, Project, User


def insert_project(connection: sa.Connection, project: Project) -> None:
    connection.execute(sa.insert(projects).values(asdict(project)))


def insert_user(connection: sa.Connection, user: User) -> None:
    connection.execute(sa.insert(users).values(asdict(user)))


def update_user(connection: sa.Connection, user_id: str, **values: Any) -> None:
    connection.execute(sa.update(users).where(users.c.id == user_id).values(**values))


def update_project(connection: sa.Connection, project_id: str, **values: Any) -> None:
    connection.execute(sa.update(projects).where(projects.c.id == project_id).values(**values))


def delete_user(connection: sa.Connection, user_id: str) -> None:
    """With the roles, credentials and key pairs, which nobody else could use."""
    for table in (role_assignments, application_credentials, keypairs):
        connection.execute(sa.delete(table).where(table.c.user_id == user_id))
    connection.execute(sa.delete(users).where(users.c.id == user_id))


def delete_project(connection: sa.Connection, project_id: str) -> None:
    """With what is said of it: roles, credentials, quotas, access to flavors."""
    for table in (role_assignments, application_credentials, quotas, quota_usages, flavor_access):
        connection.execute(sa.delete(table).where(table.c.project_id == project_id))
    default_of = users.c.default_project_id == project_id
    connection.execute(sa.update(users).where(default_of).values(default_project_id=None))
    connection.execute(sa.delete(projects).where(projects.c.id == project_id))


def assign_role(connection: sa.Connection, assignment: Assignment) -> None:
    """Give the role; to who has it already, nothing happens."""
    if connection.execute(sa.select(role_assignments).where(_is(assignment))).first() is None:
        connection.execute(sa.insert(role_assignments).values(asdict(assignment)))


def remove_role(connection: sa.Connection, assignment: Assignment) -> None:
    connection.execute(sa.delete(role_assignments).where(_is(assignment)))


def _is(assignment: Assignment) -> sa.ColumnElement[bool]:
    return sa.and_(*(role_assignments.c[name] == value for name, value in asdict(assignment).items()))


def insert_credential(connection: sa.Connection, credential: ApplicationCredential) -> None:
    connection.execute(
        sa.insert(application_credentials).values({**asdict(credential), "roles": list(credential.roles)})
    )


def delete_credential(connection: sa.Connection, credential_id: str) -> None:
    connection.execute(sa.delete(application_credentials).where(application_credentials.c.id == credential_id))


def revoke_token(connection: sa.Connection, audit_id: str, expires_at: datetime, now: datetime) -> None:
    """Remember it until it is over by itself; those that are over are forgotten."""
    connection.execute(sa.delete(revoked_tokens).where(revoked_tokens.c.expires_at <= now))
    if connection.execute(sa.select(revoked_tokens).where(revoked_tokens.c.audit_id == audit_id)).first() is None:
        connection.execute(sa.insert(revoked_tokens).values(audit_id=audit_id, expires_at=expires_at))
