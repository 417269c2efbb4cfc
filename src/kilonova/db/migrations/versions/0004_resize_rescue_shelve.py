# SPDX-License-Identifier: Apache-2.0
"""Resize, rescue, shelving, server groups."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "server_groups",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("policy", sa.String(length=32), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server_groups")),
    )
    op.create_index(op.f("ix_server_groups_project_id"), "server_groups", ["project_id"], unique=False)
    op.create_table(
        "migrations",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("instance_id", sa.String(length=36), nullable=False),
        sa.Column("migration_type", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("source_compute", sa.String(length=255), nullable=False),
        sa.Column("dest_compute", sa.String(length=255), nullable=False),
        sa.Column("old_flavor_id", sa.String(length=255), nullable=False),
        sa.Column("new_flavor_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_migrations_instance_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_migrations")),
        sa.UniqueConstraint("uuid", name=op.f("uq_migrations_uuid")),
    )
    op.create_index(op.f("ix_migrations_instance_id"), "migrations", ["instance_id"], unique=False)
    op.add_column("instances", sa.Column("disk_config", sa.String(length=8), server_default="MANUAL", nullable=False))
    op.add_column("instances", sa.Column("access_ip_v4", sa.String(length=39), nullable=True))
    op.add_column("instances", sa.Column("access_ip_v6", sa.String(length=39), nullable=True))
    op.add_column("instances", sa.Column("server_group_id", sa.String(length=36), nullable=True))
    op.add_column("instances", sa.Column("old_flavor", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("instances", sa.Column("new_flavor", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("instances", sa.Column("old_vm_state", sa.String(length=32), nullable=True))
    op.add_column("instances", sa.Column("rescue_image", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("instances", sa.Column("shelved_image", sa.JSON(none_as_null=True), nullable=True))
    op.create_index(op.f("ix_instances_server_group_id"), "instances", ["server_group_id"], unique=False)
