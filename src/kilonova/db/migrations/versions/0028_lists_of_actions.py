# SPDX-License-Identifier: Apache-2.0
"""Lists of actions, the newest first: each action has the project of its instance, and there are indexes for them."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"

actions = sa.table("actions", sa.column("instance_id", sa.String), sa.column("instance_project", sa.String))
instances = sa.table("instances", sa.column("id", sa.String), sa.column("project_id", sa.String))

OWNER = sa.select(instances.c.project_id).where(instances.c.id == actions.c.instance_id).scalar_subquery()
NOT_DONE = sa.text("state IN ('failed', 'superseded', 'abandoned')")


def upgrade() -> None:
    op.add_column("actions", sa.Column("instance_project", sa.String(length=64), nullable=False, server_default=""))
    op.execute(sa.update(actions).values(instance_project=OWNER))
    op.create_index(op.f("ix_actions_started_at_id"), "actions", ["started_at", "id"])
    op.create_index(
        op.f("ix_actions_instance_project_started_at_id"), "actions", ["instance_project", "started_at", "id"]
    )
    op.create_index(
        "ix_actions_not_done", "actions", ["started_at", "id"], sqlite_where=NOT_DONE, postgresql_where=NOT_DONE
    )
