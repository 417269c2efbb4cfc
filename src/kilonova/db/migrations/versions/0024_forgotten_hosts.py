# SPDX-License-Identifier: Apache-2.0
"""Hosts that an operator has given up, and the instances that were on them."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "forgotten_hosts",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_forgotten_hosts")),
    )
    op.create_table(
        "tombstones",
        sa.Column("instance_id", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("instance_id", "host", name=op.f("pk_tombstones")),
    )
    op.create_index(op.f("ix_tombstones_host"), "tombstones", ["host"])
