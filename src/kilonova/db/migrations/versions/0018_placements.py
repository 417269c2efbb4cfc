# SPDX-License-Identifier: Apache-2.0
"""Records of placements, the digest of an inventory, and the failed builds of a host."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "placements",
        sa.Column("action_id", sa.String(36), sa.ForeignKey("actions.id"), primary_key=True),
        sa.Column("leg", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("record", sa.JSON(), nullable=False),
    )
    nodes = (
        sa.Column("inventory_digest", sa.String(64), nullable=False, server_default=""),
        sa.Column("failed_builds", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("build_failed_at", sa.BigInteger(), nullable=True),
    )
    for column in nodes:
        op.add_column("compute_nodes", column)
