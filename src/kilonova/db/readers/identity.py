# SPDX-License-Identifier: Apache-2.0
"""Reading users, projects and roles."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from kilonova.db.schema import projects, role_assignments, users


@dataclass(frozen=True, slots=True)
class User:
    """`password_hash` is argon2's own text; it never leaves identity and this room.  Tokens issued before
    `tokens_from` are of no use any more."""

    id: str
    name: str
    password_hash: str
    default_project_id: str | None
    description: str = ""
    enabled: bool = True
    tokens_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Project:
    id: str
    name: str
    description: str = ""
    enabled: bool = True


# Not all columns of the tables are in these records.
_USER = sa.select(*(users.c[name] for name in User.__dataclass_fields__))
_PROJECT = sa.select(*(projects.c[name] for name in Project.__dataclass_fields__))


def find_user(connection: sa.Connection, *, user_id: str | None = None, name: str | None = None) -> User | None:
    """By id or by name."""
    query = _USER.where(users.c.id == user_id if user_id is not None else users.c.name == name)
    row = connection.execute(query).mappings().first()
    return None if row is None else User(**row)


def find_project(
    connection: sa.Connection, *, project_id: str | None = None, name: str | None = None
) -> Project | None:
    """By id or by name."""
    query = _PROJECT.where(projects.c.id == project_id if project_id is not None else projects.c.name == name)
    row = connection.execute(query).mappings().first()
    return None if row is None else Project(**row)


def list_projects(connection: sa.Connection) -> list[Project]:
    """By name."""
    return [Project(**row) for row in connection.execute(_PROJECT.order_by(projects.c.name)).mappings()]


def roles_of(connection: sa.Connection, user_id: str, project_id: str) -> tuple[str, ...]:
    """Names of a user's roles in a project, sorted; empty: none."""
    query = sa.select(role_assignments.c.role).where(
        role_assignments.c.user_id == user_id, role_assignments.c.project_id == project_id
    )
    return tuple(row.role for row in connection.execute(query.order_by(role_assignments.c.role)))


def any_user(connection: sa.Connection) -> bool:
    """Whether there is a user at all: on a new database there is none."""
    return connection.execute(sa.select(users.c.id).limit(1)).first() is not None
