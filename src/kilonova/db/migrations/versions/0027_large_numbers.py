# SPDX-License-Identifier: Apache-2.0
"""Numbers of PostgreSQL that outgrow 31 bits in a large fleet: the serial number of notifications, and the memory (MiB)
that the servers of a project use together."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return  # an integer of SQLite has 64 bits
    op.alter_column("notifications", "serial", type_=sa.BigInteger(), existing_nullable=False)
    op.execute("ALTER SEQUENCE notifications_serial_seq AS bigint")
    op.alter_column("quota_usages", "ram", type_=sa.BigInteger(), existing_nullable=False)
