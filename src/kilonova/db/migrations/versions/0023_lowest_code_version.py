# SPDX-License-Identifier: Apache-2.0
"""The lowest code version that may use the database; kilonova.db.migrate keeps it."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

lowest_code_version = 2


def upgrade() -> None:
    made = op.create_table(
        "schema_version",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lowest_code_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schema_version")),
    )
    op.execute(sa.insert(made).values(id=1, lowest_code_version=lowest_code_version))
