# SPDX-License-Identifier: Apache-2.0
"""Files for guests; and the new count of quota usage: a resize that waits for its confirmation counts with its new
size."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("instances", sa.Column("files", sa.JSON(), nullable=True))
    connection = op.get_bind()
    waiting = sa.text(
        "SELECT project_id, flavor, old_flavor, new_flavor FROM instances "
        "WHERE deleted_at IS NULL AND old_flavor IS NOT NULL"
    )
    less = sa.text("UPDATE quota_usages SET cores = cores - :cores, ram = ram - :ram WHERE project_id = :project")
    for project, *columns in connection.execute(waiting).all():
        flavor, old, new = (_flavor(column) for column in columns)
        now = [one for one in (flavor, new) if one is not None]
        before = [one for one in (flavor, old, new) if one is not None]
        cores, ram = (_most(before, name) - _most(now, name) for name in ("vcpus", "memory_mib"))
        connection.execute(less, {"cores": cores, "ram": ram, "project": project})


def _flavor(column: Any) -> dict[str, Any] | None:
    """Databases without a JSON type return its text."""
    found: dict[str, Any] | None = json.loads(column) if isinstance(column, str) else column
    return found


def _most(flavors: list[dict[str, Any]], name: str) -> int:
    return max(int(flavor[name]) for flavor in flavors)
