# SPDX-License-Identifier: Apache-2.0
"""What several conductors agree about: rounds of periodic work, silent hosts, hosts that two processes claim."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.create_table(
        "rounds",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rounds")),
    )
    op.create_table(
        "suspicions",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_suspicions")),
    )
    op.create_table(
        "contests",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("claimant", sa.String(length=64), nullable=True),
        sa.Column("claimant_boot", sa.String(length=36), nullable=True),
        sa.Column("claimed_at", sa.BigInteger(), nullable=True),
        sa.Column("silent_epoch", sa.Integer(), nullable=True),
        sa.Column("conflict", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_contests")),
    )
    op.add_column("services", sa.Column("expires_at", sa.BigInteger(), nullable=True))
