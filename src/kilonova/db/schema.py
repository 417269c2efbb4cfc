# SPDX-License-Identifier: Apache-2.0
"""The tables.  Private to this room: others see objects.

Every change here needs a migration in migrations/versions (a test compares the two).
"""

import sqlalchemy as sa

from kilonova.db.schema_base import LARGE as _LARGE
from kilonova.db.schema_base import id_column as _id
from kilonova.db.schema_base import metadata
from kilonova.db.schema_base import partial_index as _partial_index
from kilonova.db.schema_base import time_column as _time
from kilonova.db.schema_fleet import contests, forgotten_hosts, rounds, schema_version, suspicions, tombstones
from kilonova.db.schema_identity import (
    application_credentials,
    assignments,
    catalog_entries,
    group_members,
    groups,
    projects,
    revoked_tokens,
    roles,
    signing_keys,
    users,
)
from kilonova.db.schema_images import deleted_images, image_copies, image_members, image_stores, images

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
    sa.Column("files", sa.JSON(none_as_null=True)),
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
    # Since when it is in no list any more; the row goes some minutes later (see writers/purge).
    _time("purged_at", null=True),
    # Which read of the guest by its host the record is from (objects.guest.ReadMark).
    sa.Column("read_by", sa.String(36)),
    sa.Column("read_number", sa.BigInteger),
    # Lists show instances that are not deleted; deleted ones stay for their actions and must not slow them.
    _partial_index("ix_instances_alive", "project_id", "created_at", where="deleted_at IS NULL"),
    _partial_index("ix_instances_host", "host", where="deleted_at IS NULL"),
    _partial_index("ix_instances_deleted", "deleted_at", where="deleted_at IS NOT NULL AND purged_at IS NULL"),
    _partial_index("ix_instances_purged", "purged_at", where="purged_at IS NOT NULL"),
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
    sa.Column("legs", sa.JSON, nullable=False, server_default="[]"),
    # The host of the current leg, taken from `legs` in each write that changes them: only the indexes need it.
    sa.Column("host", sa.String(255)),
    # The project of the instance (`project_id` is that of the request): lists of a project's actions need it.
    sa.Column("instance_project", sa.String(64), nullable=False, server_default=""),
    sa.Column("params", sa.JSON, nullable=False),
    sa.Column("bookkeeping", sa.JSON, nullable=False, server_default="{}"),
    sa.Column("message", sa.Text),
    _time("ended_at", null=True),
    _time("counted_at", null=True),
    sa.UniqueConstraint("request_id", "instance_id"),
    sa.Index(None, "instance_id", "started_at"),
    # Open actions are few among many ended ones: hosts and the watchdog read only these.
    _partial_index("ix_actions_open", "host", where="state = 'open'"),
    _partial_index("ix_actions_abandoned", "host", where="state = 'abandoned'"),
    # Lists of actions, the newest first: of all projects, of one, and those that ended without success.
    sa.Index(None, "started_at", "id"),
    sa.Index(None, "instance_project", "started_at", "id"),
    _partial_index("ix_actions_not_done", "started_at", "id", where="state IN ('failed', 'superseded', 'abandoned')"),
)

action_events = sa.Table(
    "action_events",
    metadata,
    sa.Column("action_id", sa.String(36), sa.ForeignKey("actions.id"), primary_key=True),
    sa.Column("attempt", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("leg", sa.Integer, nullable=False, server_default="0"),
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
    sa.Column("state_id", sa.String(64)),
    sa.Column("started_s", sa.Float),
    _time("registered_at", null=True),
    _time("left_at", null=True),
    _time("expires_at", null=True),
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
    sa.Column("node_id", sa.String(36), nullable=False, index=True),
    sa.Column("inventory", sa.JSON, nullable=False),
    # Identifies the inventory: readers keep decoded inventories by it.
    sa.Column("inventory_digest", sa.String(64), nullable=False, server_default=""),
    sa.Column("vcpus_capacity", sa.Integer, nullable=False),
    sa.Column("memory_mib_capacity", sa.Integer, nullable=False),
    sa.Column("disk_gib_capacity", sa.Integer, nullable=False),
    sa.Column("vcpus_used", sa.Integer, nullable=False),
    sa.Column("memory_mib_used", sa.Integer, nullable=False),
    sa.Column("disk_gib_used", sa.Integer, nullable=False),
    sa.Column("instances", sa.Integer, nullable=False),
    sa.Column("failed_builds", sa.Integer, nullable=False, server_default="0"),
    _time("build_failed_at", null=True),
)

# Why an instance was placed on its host, or on none: one row for each try of an action.
placements = sa.Table(
    "placements",
    metadata,
    sa.Column("action_id", sa.String(36), sa.ForeignKey("actions.id"), primary_key=True),
    sa.Column("leg", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("record", sa.JSON, nullable=False),
)

addresses = sa.Table(
    "addresses",
    metadata,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("network", sa.String(64), primary_key=True),
    sa.Column("value", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("instance_id", sa.String(36), sa.ForeignKey("instances.id"), nullable=False, index=True),
)

project_numbers = sa.Table(
    "project_numbers",
    metadata,
    sa.Column("project_id", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, unique=True),
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

# What the instances of a project that are not deleted use together.  The row changes in the same transaction as they
# do: a sum over all instances for each create would cost more with every instance.
quota_usages = sa.Table(
    "quota_usages",
    metadata,
    sa.Column("project_id", sa.String(64), primary_key=True),
    sa.Column("instances", sa.Integer, nullable=False),
    sa.Column("cores", sa.Integer, nullable=False),
    sa.Column("ram", _LARGE, nullable=False),
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

# Answers to creates with an Idempotency-Key, for a client that sends the same create again.
idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("project_id", sa.String(64), primary_key=True),
    sa.Column("user_id", sa.String(64), primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    _time("created_at"),
    sa.Index(None, "created_at"),
)

# The outbox: a row is inserted in the transaction that it reports, and gets its number in a later one (see
# writers/notifications): numbers are in the order of commits, without gaps.
notifications = sa.Table(
    "notifications",
    metadata,
    sa.Column("serial", _LARGE, primary_key=True, autoincrement=True),
    sa.Column("number", sa.BigInteger, unique=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("host", sa.String(255), nullable=False),
    _time("created_at"),
    sa.Column("event_type", sa.String(255), nullable=False),
    sa.Column("priority", sa.String(16), nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),
    _partial_index("ix_notifications_unnumbered", "serial", where="number IS NULL"),
)

# One row: the last number that was given, and the last number that was published on the bus.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("numbered", sa.BigInteger, nullable=False),
    sa.Column("published", sa.BigInteger, nullable=False),
)

__all__ = [
    "action_events",
    "actions",
    "addresses",
    "aggregate_hosts",
    "aggregates",
    "application_credentials",
    "assignments",
    "catalog_entries",
    "compute_nodes",
    "contests",
    "deleted_images",
    "flavor_access",
    "flavors",
    "forgotten_hosts",
    "group_members",
    "groups",
    "idempotency_keys",
    "image_copies",
    "image_members",
    "image_stores",
    "images",
    "instances",
    "keypairs",
    "metadata",
    "migrations",
    "notifications",
    "outbox",
    "placements",
    "project_numbers",
    "projects",
    "quota_usages",
    "quotas",
    "revoked_tokens",
    "roles",
    "rounds",
    "schema_version",
    "server_groups",
    "services",
    "signing_keys",
    "suspicions",
    "tombstones",
    "users",
]
