# SPDX-License-Identifier: Apache-2.0
"""Legs of actions: the host and the attempt of an action become its one leg."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

OPEN = ("open", "superseded", "abandoned")
"""States of actions whose leg has not ended."""

actions = sa.table(
    "actions",
    sa.column("id", sa.String),
    sa.column("verb", sa.String),
    sa.column("state", sa.String),
    sa.column("host", sa.String),
    sa.column("attempt", sa.String),
    sa.column("legs", sa.JSON),
)


def upgrade() -> None:
    op.add_column("actions", sa.Column("legs", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("action_events", sa.Column("leg", sa.Integer(), server_default="0", nullable=False))
    op.create_index(
        "ix_actions_abandoned",
        "actions",
        ["host"],
        sqlite_where=sa.text("state = 'abandoned'"),
        postgresql_where=sa.text("state = 'abandoned'"),
    )
    row = actions.c
    found = op.get_bind().execute(sa.select(row.id, row.verb, row.state, row.host, row.attempt)).all()
    put = sa.update(actions).where(row.id == sa.bindparam("of_id")).values(legs=sa.bindparam("legs", type_=sa.JSON))
    if found:
        op.get_bind().execute(put, [{"of_id": one.id, "legs": [_leg(one)]} for one in found])
    op.drop_column("actions", "attempt")


def _leg(action: Any) -> dict[str, Any]:
    return {
        "host": action.host,
        "operation": action.verb,
        "state": "open" if action.state in OPEN else action.state,
        "attempt": action.attempt,
        "undoes": None,
        "commits": False,
        "power": None,
        "message": None,
    }
