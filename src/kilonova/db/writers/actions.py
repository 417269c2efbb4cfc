# SPDX-License-Identifier: Apache-2.0
"""Writing actions and their events."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from kilonova.db import rows
from kilonova.db.schema import action_events, actions
from kilonova.objects.action import Action, ActionEvent
from kilonova.objects.ids import ActionId, AttemptId
from kilonova.objects.states import ActionState


def insert(connection: sa.Connection, action: Action) -> None:
    """Record a new action."""
    connection.execute(sa.insert(actions).values(**rows.action_to(action)))


def update(connection: sa.Connection, action_id: ActionId, now: datetime, **values: Any) -> None:
    """Change columns."""
    connection.execute(sa.update(actions).where(actions.c.id == action_id).values(updated_at=now, **values))


def end(
    connection: sa.Connection, action_id: ActionId, now: datetime, state: ActionState, message: str | None = None
) -> None:
    """Close an action with its outcome."""
    update(connection, action_id, now, state=state, message=message, ended_at=now)


def hand_out(connection: sa.Connection, action_ids: Sequence[ActionId], attempt: AttemptId, now: datetime) -> None:
    """Put these actions under a new attempt; reports of earlier ones become stale."""
    if action_ids:
        connection.execute(
            sa.update(actions).where(actions.c.id.in_(action_ids)).values(attempt=attempt, updated_at=now)
        )


def record_events(
    connection: sa.Connection, action_id: ActionId, attempt: AttemptId, events: Iterable[ActionEvent]
) -> None:
    """Add or complete events; a repeat changes nothing."""
    for event in events:
        values = {
            "action_id": action_id,
            "attempt": attempt,
            **{name: getattr(event, name) for name in ActionEvent.__dataclass_fields__},
        }
        statement = upsert(action_events).values(**values)
        later = {name: statement.excluded[name] for name in ("finish_time", "result", "details")}
        connection.execute(statement.on_conflict_do_update(index_elements=["action_id", "attempt", "name"], set_=later))
