# SPDX-License-Identifier: Apache-2.0
"""Numbers of projects, which are a part of their guests' MACs."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "project_numbers",
        sa.Column("project_id", sa.String(length=64), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
    )
