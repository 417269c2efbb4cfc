# SPDX-License-Identifier: Apache-2.0
"""Ids of deleted images; no limit of images for whom no limit of servers holds."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0007"


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
    for resource in ("image_count_total", "image_size_total"):
        op.execute(
            f"INSERT INTO quotas (project_id, resource, hard_limit) SELECT project_id, '{resource}', -1 FROM quotas"
            " WHERE resource = 'instances' AND hard_limit = -1 AND project_id != 'class default'"
        )
