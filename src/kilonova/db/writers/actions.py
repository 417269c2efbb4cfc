# SPDX-License-Identifier: Apache-2.0
"""Writing actions and their events."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from kilonova.db.codec import ACTIONS, EVENTS
from kilonova.db.dialect import Upsert
from kilonova.db.schema import action_events, actions
from kilonova.db.transaction import Transaction
from kilonova.objects.action import Action, ActionEvent
from kilonova.objects.ids import ActionId, AttemptId
from kilonova.objects.leg import Legs, current_index
from kilonova.objects.states import ActionState

# Statements that do not change are built once: building one costs more than running it.
_INSERT = sa.insert(actions)
_NEWEST = sa.select(sa.func.max(actions.c.started_at)).where(actions.c.instance_id == sa.bindparam("of_id"))
_NEXT = timedelta(microseconds=1)
_PUT_EVENT = Upsert(
    action_events, ("action_id", "attempt", "name"), replace=("finish_time", "result", "details"), returns=True
)
_OF_ID = sa.update(actions).where(actions.c.id == sa.bindparam("of_id"))
_PUT_LEGS = _OF_ID.values({name: sa.bindparam(name) for name in ("legs", "host", "updated_at")})


def insert(tx: Transaction, action: Action, instance_project: str) -> None:
    """Record a new action, with the project of its instance.  Its start is after the starts of the instance's other
    actions, also when the wall clock was set back since: this order shows which request was the last."""
    newest = tx.execute(_NEWEST, {"of_id": action.instance_id}).scalar()
    if newest is not None and newest >= action.started_at:
        action = replace(action, started_at=newest + _NEXT)
    insert_first(tx, action, instance_project)


def insert_first(tx: Transaction, action: Action, instance_project: str) -> None:
    """Record the first action of a new instance."""
    tx.execute(_INSERT, ACTIONS.dump(action) | {"host": action.host, "instance_project": instance_project})


def update(tx: Transaction, action_id: ActionId, now: datetime, **values: Any) -> None:
    """Change columns of an action."""
    tx.execute(_OF_ID, {"of_id": action_id, "updated_at": now, **ACTIONS.values(values)})


_COUNTED = sa.update(actions).where(actions.c.state == sa.literal_column("'open'"))


def count_open(tx: Transaction, now: datetime) -> None:
    """Count the time of every open action up to now."""
    tx.execute(_COUNTED.values(counted_at=now))


def set_deadline(tx: Transaction, action_id: ActionId, deadline: datetime) -> None:
    """Move a deadline.  The action does not count as changed: its state is the same."""
    tx.execute(sa.update(actions).where(actions.c.id == action_id).values(deadline=deadline))


def end(
    tx: Transaction,
    action_id: ActionId,
    now: datetime,
    state: ActionState,
    message: str | None = None,
    legs: Legs | None = None,
) -> None:
    """Close an action with its outcome, and with these legs if any are given."""
    changed = {} if legs is None else _columns(legs)
    update(tx, action_id, now, state=state, message=message, ended_at=now, **changed)


def put_legs(tx: Transaction, action_id: ActionId, legs: Legs, now: datetime) -> None:
    """Record the legs of an action."""
    update(tx, action_id, now, **_columns(legs))


def hand_out(tx: Transaction, handed: Iterable[Action], now: datetime) -> None:
    """Record the legs of these actions; each current leg bears the attempt under which it is handed out."""
    values = [{"of_id": one.id, "updated_at": now, **ACTIONS.values(_columns(one.legs))} for one in handed]
    if values:
        tx.execute(_PUT_LEGS, values)


def move_event(tx: Transaction, action_id: ActionId, attempt: AttemptId, name: str, start_time: datetime) -> None:
    """Change the start of an event."""
    row = action_events.c
    this = (row.action_id == action_id, row.attempt == attempt, row.name == name)
    tx.execute(sa.update(action_events).where(*this).values(start_time=start_time))


def _columns(legs: Legs) -> dict[str, Any]:
    """The legs, and the host of the current one in its own column, for the indexes."""
    return {"legs": legs, "host": legs[current_index(legs)].host}


def record_events(tx: Transaction, action_id: ActionId, attempt: AttemptId, events: Iterable[ActionEvent]) -> None:
    """Add or complete events; a repeat changes nothing.  Of two events with the same name the later one is kept."""
    newest = {event.name: event for event in events}
    values = [{"action_id": action_id, "attempt": attempt, **EVENTS.dump(event)} for event in newest.values()]
    if values:
        tx.execute(_PUT_EVENT.on(tx), values)
