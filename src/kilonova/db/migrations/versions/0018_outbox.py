# SPDX-License-Identifier: Apache-2.0
"""Notifications become an outbox: numbers in the order of commits, and the position of the publication."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

notifications = sa.table("notifications", sa.column("serial", sa.Integer), sa.column("number", sa.BigInteger))
outbox = sa.table(
    "outbox", sa.column("id", sa.Integer), sa.column("numbered", sa.BigInteger), sa.column("published", sa.BigInteger)
)


def upgrade() -> None:
    with op.batch_alter_table("notifications") as table:
        table.add_column(sa.Column("number", sa.BigInteger(), nullable=True))
        table.alter_column("id", existing_type=sa.String(36), type_=sa.String(64), existing_nullable=False)
        table.create_unique_constraint(op.f("uq_notifications_number"), ["number"])
    where = sa.text("number IS NULL")
    op.create_index(
        "ix_notifications_unnumbered", "notifications", ["serial"], sqlite_where=where, postgresql_where=where
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("numbered", sa.BigInteger(), nullable=False),
        sa.Column("published", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.execute(sa.update(notifications).values(number=notifications.c.serial))
    last = op.get_bind().execute(sa.select(sa.func.coalesce(sa.func.max(notifications.c.serial), 0))).scalar_one()
    op.execute(sa.insert(outbox).values(id=1, numbered=last, published=last))
