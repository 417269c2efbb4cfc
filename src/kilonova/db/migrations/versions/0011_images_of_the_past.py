# SPDX-License-Identifier: Apache-2.0
"""Ids of deleted images; no limit of images for projects without a limit of servers."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "deleted_images",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deleted_images")),
    )
    used = sa.table("instances", sa.column("image", sa.JSON)).c.image["id"].as_string()
    known = sa.select(sa.table("images", sa.column("id")).c.id)
    gone = sa.select(used).where(used.is_not(None), used.not_in(known)).distinct()
    op.execute(sa.insert(sa.table("deleted_images", sa.column("id"))).from_select(["id"], gone))
    quotas = sa.table("quotas", sa.column("project_id"), sa.column("resource"), sa.column("hard_limit"))
    unlimited = sa.and_(
        quotas.c.resource == "instances", quotas.c.hard_limit == -1, quotas.c.project_id != "class default"
    )
    for resource in ("image_count_total", "image_size_total"):
        theirs = sa.select(quotas.c.project_id, sa.literal(resource), sa.literal(-1)).where(unlimited)
        op.execute(sa.insert(quotas).from_select(["project_id", "resource", "hard_limit"], theirs))
