# SPDX-License-Identifier: Apache-2.0
"""The time up to which the watchdog has counted an action; an index of the deleted instances."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("actions", sa.Column("counted_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_instances_deleted",
        "instances",
        ["deleted_at"],
        sqlite_where=sa.text("deleted_at IS NOT NULL"),
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
