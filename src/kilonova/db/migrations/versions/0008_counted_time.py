# SPDX-License-Identifier: Apache-2.0
"""Up to when the watchdog has counted the time of an action."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("actions", sa.Column("counted_at", sa.BigInteger(), nullable=True))
