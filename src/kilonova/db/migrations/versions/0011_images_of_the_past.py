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
    op.execute(
        "INSERT INTO deleted_images (id) SELECT DISTINCT json_extract(image, '$.id') FROM instances"
        " WHERE json_extract(image, '$.id') IS NOT NULL"
        " AND json_extract(image, '$.id') NOT IN (SELECT id FROM images)"
    )
    quotas = sa.table("quotas", sa.column("project_id"), sa.column("resource"), sa.column("hard_limit"))
    unlimited = sa.and_(
        quotas.c.resource == "instances", quotas.c.hard_limit == -1, quotas.c.project_id != "class default"
    )
    for resource in ("image_count_total", "image_size_total"):
        theirs = sa.select(quotas.c.project_id, sa.literal(resource), sa.literal(-1)).where(unlimited)
        op.execute(sa.insert(quotas).from_select(["project_id", "resource", "hard_limit"], theirs))
