# SPDX-License-Identifier: Apache-2.0
"""Writing users, projects and roles."""

from dataclasses import asdict

import sqlalchemy as sa

from kilonova.db.readers.identity import Project, User
from kilonova.db.schema import projects, role_assignments, users


def insert_project(connection: sa.Connection, project: Project) -> None:
    connection.execute(sa.insert(projects).values(asdict(project)))


def insert_user(connection: sa.Connection, user: User) -> None:
    connection.execute(sa.insert(users).values(asdict(user)))


def assign_role(connection: sa.Connection, user_id: str, project_id: str, role: str) -> None:
    connection.execute(sa.insert(role_assignments).values(user_id=user_id, project_id=project_id, role=role))
