# SPDX-License-Identifier: Apache-2.0
"""The tables.  Private to this room: others see objects.

Every change here needs a migration in migrations/versions (a test compares the two).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes as microseconds since 1970: exact, sortable, and the same on every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.String(36), primary_key=True)


def _time(name: str, *, null: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, UtcDateTime, nullable=null)


instances = sa.Table(
    "instances",
    metadata,
    _id(),
    sa.Column("project_id", sa.String(64), nullable=False),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("hostname", sa.String(255), nullable=False),
    sa.Column("flavor", sa.JSON, nullable=False),
    sa.Column("image", sa.JSON, nullable=False),
    _time("created_at"),
    _time("updated_at"),
    sa.Column("vm_state", sa.String(32), nullable=False),
    sa.Column("task_state", sa.String(32)),
    sa.Column("power_state", sa.SmallInteger, nullable=False),
    sa.Column("desired_power", sa.SmallInteger, nullable=False),
    sa.Column("host", sa.String(255)),
    sa.Column("node", sa.String(255)),
    sa.Column("availability_zone", sa.String(255)),
    sa.Column("wants_network", sa.Boolean, nullable=False),
    sa.Column("addresses", sa.JSON, nullable=False),
    sa.Column("config_drive", sa.Boolean, nullable=False),
    sa.Column("key_name", sa.String(255)),
    sa.Column("key_data", sa.Text),
    sa.Column("user_data", sa.Text),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("description", sa.String(255)),
    sa.Column("reservation_id", sa.String(64), nullable=False),
    sa.Column("launch_index", sa.Integer, nullable=False),
    _time("launched_at", null=True),
    _time("terminated_at", null=True),
    sa.Column("locked_by", sa.String(16)),
    sa.Column("locked_reason", sa.String(255)),
    sa.Column("disk_config", sa.String(8), nullable=False, server_default="MANUAL"),
    sa.Column("access_ip_v4", sa.String(39)),
    sa.Column("access_ip_v6", sa.String(39)),
    sa.Column("server_group_id", sa.String(36), index=True),
    sa.Column("old_flavor", sa.JSON(none_as_null=True)),
    sa.Column("new_flavor", sa.JSON(none_as_null=True)),
    sa.Column("old_vm_state", sa.String(32)),
    sa.Column("rescue_image", sa.JSON(none_as_null=True)),
    sa.Column("shelved_image", sa.JSON(none_as_null=True)),
    sa.Column("fault", sa.JSON(none_as_null=True)),
    sa.Column("requested_zone", sa.String(255)),
    sa.Column("device_tags", sa.JSON, nullable=False, server_default="{}"),
    _time("deleted_at", null=True),
    # Lists show what lives; what was deleted stays for its actions and must not slow them.
    sa.Index(
        "ix_instances_alive",
        "project_id",
        "created_at",
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    ),
    sa.Index(
        "ix_instances_host",
        "host",
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    ),
)

actions = sa.Table(
    "actions",
    metadata,
    _id(),
    sa.Column("instance_id", sa.String(36), sa.ForeignKey("instances.id"), nullable=False),
    sa.Column("verb", sa.String(32), nullable=False),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("project_id", sa.String(64), nullable=False),
    _time("started_at"),
    _time("updated_at"),
    _time("deadline"),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("host", sa.String(255)),
    sa.Column("attempt", sa.String(36)),
    sa.Column("params", sa.JSON, nullable=False),
    sa.Column("message", sa.Text),
    _time("ended_at", null=True),
    sa.UniqueConstraint("request_id", "instance_id"),
    sa.Index(None, "instance_id", "started_at"),
    # Open actions are few among many ended ones: hosts and the watchdog read only these.
    sa.Index(
        "ix_actions_open",
        "host",
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    ),
)

action_events = sa.Table(
    "action_events",
    metadata,
    sa.Column("action_id", sa.String(36), sa.ForeignKey("actions.id"), primary_key=True),
    sa.Column("attempt", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    _time("start_time"),
    _time("finish_time", null=True),
    sa.Column("result", sa.String(16)),
    sa.Column("host", sa.String(255)),
    sa.Column("details", sa.Text),
)

services = sa.Table(
    "services",
    metadata,
    _id(),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("binary", sa.String(64), nullable=False),
    sa.Column("topic", sa.String(64), nullable=False),
    sa.Column("zone", sa.String(255), nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("process_id", sa.String(36), nullable=False),
    sa.Column("boot_id", sa.String(36), nullable=False),
    sa.Column("up", sa.Boolean, nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("disabled_reason", sa.String(255)),
    sa.Column("disabled_by_host", sa.Boolean, nullable=False),
    sa.Column("forced_down", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    _time("created_at"),
    _time("updated_at"),
    sa.UniqueConstraint("host", "binary"),
)

compute_nodes = sa.Table(
    "compute_nodes",
    metadata,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("node_id", sa.String(36), nullable=False),
    sa.Column("inventory", sa.JSON, nullable=False),
    sa.Column("vcpus_capacity", sa.Integer, nullable=False),
    sa.Column("memory_mib_capacity", sa.Integer, nullable=False),
    sa.Column("disk_gib_capacity", sa.Integer, nullable=False),
    sa.Column("vcpus_used", sa.Integer, nullable=False),
    sa.Column("memory_mib_used", sa.Integer, nullable=False),
    sa.Column("disk_gib_used", sa.Integer, nullable=False),
    sa.Column("instances", sa.Integer, nullable=False),
)

addresses = sa.Table(
    "addresses",
    metadata,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("network", sa.String(64), primary_key=True),
    sa.Column("value", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("instance_id", sa.String(36), sa.ForeignKey("instances.id"), nullable=False, index=True),
)

migrations = sa.Table(
    "migrations",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("uuid", sa.String(36), nullable=False, unique=True),
    sa.Column("instance_id", sa.String(36), sa.ForeignKey("instances.id"), nullable=False, index=True),
    sa.Column("migration_type", sa.String(16), nullable=False),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("source_compute", sa.String(255), nullable=False),
    sa.Column("dest_compute", sa.String(255), nullable=False),
    sa.Column("old_flavor_id", sa.String(255), nullable=False),
    sa.Column("new_flavor_id", sa.String(255), nullable=False),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("project_id", sa.String(64), nullable=False),
    _time("created_at"),
    _time("updated_at"),
)

server_groups = sa.Table(
    "server_groups",
    metadata,
    _id(),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("policy", sa.String(32), nullable=False),
    sa.Column("rules", sa.JSON, nullable=False),
    _time("created_at"),
)

aggregates = sa.Table(
    "aggregates",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("uuid", sa.String(36), nullable=False, unique=True),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("availability_zone", sa.String(255)),
    sa.Column("metadata", sa.JSON, nullable=False),
    _time("created_at"),
    _time("updated_at", null=True),
)

aggregate_hosts = sa.Table(
    "aggregate_hosts",
    metadata,
    sa.Column("aggregate_id", sa.Integer, sa.ForeignKey("aggregates.id"), primary_key=True),
    sa.Column("host", sa.String(255), primary_key=True),
)

flavors = sa.Table(
    "flavors",
    metadata,
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("is_public", sa.Boolean, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)

flavor_access = sa.Table(
    "flavor_access",
    metadata,
    sa.Column("flavor_id", sa.String(255), sa.ForeignKey("flavors.id"), primary_key=True),
    sa.Column("project_id", sa.String(64), primary_key=True),
)

quotas = sa.Table(
    "quotas",
    metadata,
    sa.Column("project_id", sa.String(64), primary_key=True),
    sa.Column("resource", sa.String(32), primary_key=True),
    sa.Column("hard_limit", sa.Integer, nullable=False),
)

# What the living instances of a project take together.  A row of its own, changed with them in one transaction: to sum
# them up for each new one would cost more with each.
quota_usages = sa.Table(
    "quota_usages",
    metadata,
    sa.Column("project_id", sa.String(64), primary_key=True),
    sa.Column("instances", sa.Integer, nullable=False),
    sa.Column("cores", sa.Integer, nullable=False),
    sa.Column("ram", sa.Integer, nullable=False),
)

images = sa.Table(
    "images",
    metadata,
    _id(),
    sa.Column("name", sa.String(255)),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("visibility", sa.String(16), nullable=False),
    _time("created_at"),
    sa.Column("body", sa.JSON, nullable=False),
)

keypairs = sa.Table(
    "keypairs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("public_key", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.String(128), nullable=False),
    _time("created_at"),
    sa.UniqueConstraint("user_id", "name"),
)

projects = sa.Table(
    "projects",
    metadata,
    _id(),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("description", sa.String(255), nullable=False, server_default=""),
    sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true()),
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
    # Tokens that were issued before are refused: the password changed, or the user was disabled.
    _time("tokens_from", null=True),
    sa.Column("email", sa.String(255)),
)

role_assignments = sa.Table(
    "role_assignments",
    metadata,
    sa.Column("user_id", sa.String(36), sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("project_id", sa.String(36), sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("role", sa.String(32), primary_key=True),
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

notifications = sa.Table(
    "notifications",
    metadata,
    sa.Column("serial", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("host", sa.String(255), nullable=False),
    _time("created_at"),
    sa.Column("event_type", sa.String(255), nullable=False),
    sa.Column("priority", sa.String(16), nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),
)
