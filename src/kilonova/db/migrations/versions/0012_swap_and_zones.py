# SPDX-License-Identifier: Apache-2.0
"""The requested zone of a server, beside its current one; device tags; swap counts in hosts' claims."""

from collections import Counter
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

instances = sa.table(
    "instances",
    sa.column("host", sa.String),
    sa.column("deleted_at", sa.BigInteger),
    sa.column("flavor", sa.JSON),
    sa.column("old_flavor", sa.JSON),
    sa.column("new_flavor", sa.JSON),
    sa.column("image", sa.JSON),
    sa.column("availability_zone", sa.String),
    sa.column("requested_zone", sa.String),
)
nodes = sa.table("compute_nodes", sa.column("host", sa.String), sa.column("disk_gib_used", sa.Integer))


def upgrade() -> None:
    op.add_column("instances", sa.Column("requested_zone", sa.String(length=255), nullable=True))
    op.add_column("instances", sa.Column("device_tags", sa.JSON(), server_default="{}", nullable=False))
    # The requested zone is not recorded; until now a server returned to its current zone.
    op.execute(sa.update(instances).values(requested_zone=instances.c.availability_zone))
    row = instances.c
    alive = sa.select(row.host, row.flavor, row.old_flavor, row.new_flavor, row.image).where(
        row.deleted_at.is_(None), row.host.is_not(None)
    )
    more: Counter[str] = Counter()
    for host, flavor, old, new, image in op.get_bind().execute(alive):
        flavors = [one for one in (flavor, old, new) if one]
        more[host] += max(_disk(one, image, 1) for one in flavors) - max(_disk(one, image, 0) for one in flavors)
    for host, gib in more.items():
        if gib:
            used = nodes.c.disk_gib_used
            op.execute(sa.update(nodes).where(nodes.c.host == host).values(disk_gib_used=used + gib))


def _disk(flavor: dict[str, Any], image: dict[str, Any], swap: int) -> int:
    root = flavor.get("disk_gib") or -(-image.get("virtual_size", 0) // (1 << 30))
    return int(root + flavor.get("ephemeral_gib", 0) + swap * -(-flavor.get("swap_mib", 0) // 1024))
