# SPDX-License-Identifier: Apache-2.0
"""A purged server is in no list, and its row stays for some minutes."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"

DELETED = sa.text("deleted_at IS NOT NULL AND purged_at IS NULL")
PURGED = sa.text("purged_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("instances", sa.Column("purged_at", sa.BigInteger(), nullable=True))
    op.drop_index("ix_instances_deleted", table_name="instances")
    op.create_index("ix_instances_deleted", "instances", ["deleted_at"], sqlite_where=DELETED, postgresql_where=DELETED)
    op.create_index("ix_instances_purged", "instances", ["purged_at"], sqlite_where=PURGED, postgresql_where=PURGED)
