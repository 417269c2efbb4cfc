# SPDX-License-Identifier: Apache-2.0
"""The process of a host, its start, and whether it ended in order."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("services", sa.Column("state_id", sa.String(length=64), nullable=True))
    op.add_column("services", sa.Column("started_s", sa.Float(), nullable=True))
    op.add_column("services", sa.Column("registered_at", sa.BigInteger(), nullable=True))
    op.add_column("services", sa.Column("left_at", sa.BigInteger(), nullable=True))
