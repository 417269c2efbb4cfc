# SPDX-License-Identifier: Apache-2.0
"""The image stores of a fleet, and their copies of images."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_table(
        "image_stores",
        sa.Column("url", sa.String(length=255), nullable=False),
        sa.Column("store_id", sa.String(length=36), nullable=False),
        sa.Column("process_id", sa.String(length=36), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("is_full", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("url", name=op.f("pk_image_stores")),
    )
    op.create_table(
        "image_copies",
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("store_id", sa.String(length=36), nullable=False),
        sa.Column("doubted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("image_id", "store_id", name=op.f("pk_image_copies")),
    )
