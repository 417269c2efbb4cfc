# SPDX-License-Identifier: Apache-2.0
"""Records of placements, the digest of an inventory, and the failed builds of a host."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "placements",
        sa.Column("action_id", sa.String(36), nullable=False),
        sa.Column("leg", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_placements_action_id")),
        sa.PrimaryKeyConstraint("action_id", "leg", name=op.f("pk_placements")),
    )
    nodes = (
        sa.Column("inventory_digest", sa.String(64), nullable=False, server_default=""),
        sa.Column("failed_builds", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("build_failed_at", sa.BigInteger(), nullable=True),
    )
    for column in nodes:
        op.add_column("compute_nodes", column)
