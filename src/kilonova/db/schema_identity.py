# SPDX-License-Identifier: Apache-2.0
"""The tables of users and of their permissions.  Private to this room, which reads them from `schema`."""

import sqlalchemy as sa

from kilonova.db.schema_base import id_column as _id
from kilonova.db.schema_base import metadata
from kilonova.db.schema_base import time_column as _time

projects = sa.Table(
    "projects",
    metadata,
    _id(),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("description", sa.String(255), nullable=False, server_default=""),
    sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("tags", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("extra", sa.JSON, nullable=False, server_default="{}"),
)

users = sa.Table(
    "users",
    metadata,
    _id(),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("default_project_id", sa.String(36)),
    sa.Column("description", sa.String(255), nullable=False, server_default=""),
    sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true()),
    # When the password last changed or the user was disabled; a token contains the value at the time of its issue.
    _time("tokens_from", null=True),
    sa.Column("email", sa.String(255)),
    sa.Column("extra", sa.JSON, nullable=False, server_default="{}"),
)

groups = sa.Table(
    "groups",
    metadata,
    _id(),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("description", sa.String(255), nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
)

group_members = sa.Table(
    "group_members",
    metadata,
    sa.Column("group_id", sa.String(36), sa.ForeignKey("groups.id"), primary_key=True),
    sa.Column("user_id", sa.String(36), sa.ForeignKey("users.id"), primary_key=True, index=True),
)

# Roles that an administrator created; the default roles are in the code.
roles = sa.Table(
    "roles",
    metadata,
    _id(),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("description", sa.String(255)),
)

# Assignments of users and of groups; in projects, on the domain and on the system: see objects.identity.
assignments = sa.Table(
    "assignments",
    metadata,
    sa.Column("actor", sa.String(16), primary_key=True),
    sa.Column("actor_id", sa.String(36), primary_key=True),
    sa.Column("target", sa.String(16), primary_key=True),
    sa.Column("target_id", sa.String(36), primary_key=True),
    sa.Column("role", sa.String(255), primary_key=True),
)

# Entries that an administrator added to the service catalog.
catalog_entries = sa.Table(
    "catalog_entries",
    metadata,
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("body", sa.JSON, nullable=False),
)

application_credentials = sa.Table(
    "application_credentials",
    metadata,
    _id(),
    sa.Column("user_id", sa.String(36), sa.ForeignKey("users.id"), nullable=False),
    sa.Column("project_id", sa.String(36), sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.String(255), nullable=False),
    sa.Column("secret_hash", sa.Text, nullable=False),
    sa.Column("roles", sa.JSON, nullable=False),
    sa.Column("unrestricted", sa.Boolean, nullable=False),
    _time("expires_at", null=True),
    _time("created_at"),
    sa.UniqueConstraint("user_id", "name"),
)

revoked_tokens = sa.Table(
    "revoked_tokens",
    metadata,
    sa.Column("audit_id", sa.String(64), primary_key=True),
    _time("expires_at"),
)

# Keys that the processes of a fleet share; the one box has its key in a file.
signing_keys = sa.Table(
    "signing_keys",
    metadata,
    sa.Column("purpose", sa.String(16), primary_key=True),
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("secret", sa.Text, nullable=False),
    _time("created_at"),
    _time("retired_at", null=True),
)
