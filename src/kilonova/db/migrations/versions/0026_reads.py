# SPDX-License-Identifier: Apache-2.0
"""Which read of its guest an instance's record is from: the process of the host, and the number of the read there."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.add_column("instances", sa.Column("read_by", sa.String(length=36), nullable=True))
    op.add_column("instances", sa.Column("read_number", sa.BigInteger(), nullable=True))
