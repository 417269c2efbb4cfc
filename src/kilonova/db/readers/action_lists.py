# SPDX-License-Identifier: Apache-2.0
"""Lists of the actions of many instances, the newest first: one query each, which an index answers in order."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import sqlalchemy as sa

from kilonova.db.codec import ACTIONS
from kilonova.db.schema import actions, instances
from kilonova.db.transaction import Snapshot, single_statement
from kilonova.objects.action import Action
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import ActionState


class Outcome(Enum):
    """Actions that are open, or those that ended without success."""

    OPEN = "open"
    FAILED = "failed"


_NOT_DONE = (ActionState.FAILED, ActionState.SUPERSEDED, ActionState.ABANDONED)
# As in the conditions of the partial indexes: with parameters the databases would not use these.
_OUTCOMES: Mapping[Outcome, sa.ColumnElement[bool]] = {
    Outcome.OPEN: actions.c.state == sa.literal_column("'open'"),
    Outcome.FAILED: actions.c.state.in_([sa.literal_column(f"'{state}'") for state in _NOT_DONE]),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which actions: None means all.  `project_id` is that of the instance, not that of the request."""

    project_id: str | None = None
    outcome: Outcome | None = None
    verb: str | None = None
    instance_id: InstanceId | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The place of an action in the order of all actions: no later action changes it."""

    started_at: datetime
    action_id: str


@dataclass(frozen=True, slots=True)
class Listed:
    """An action and what a list shows of its instance."""

    action: Action
    instance_name: str
    is_deleted: bool
    project_id: str


@single_statement
def newest(snapshot: Snapshot, wanted: Wanted, limit: int, before: Place | None = None) -> list[Listed]:
    """The newest actions, the newest first; with `before` those older than this place."""
    return [_listed(row) for row in snapshot.execute(listing(wanted, limit, before)).mappings()]


def listing(wanted: Wanted, limit: int, before: Place | None) -> sa.Select[*tuple[Any, ...]]:
    """The query of `newest`."""
    table = actions.c
    shown = (instances.c.name.label("instance_name"), instances.c.deleted_at.label("instance_deleted_at"))
    query = sa.select(actions, *shown).join(instances, instances.c.id == table.instance_id).where(*_conditions(wanted))
    if before is not None:
        here = sa.tuple_(sa.literal(before.started_at, table.started_at.type), sa.literal(before.action_id))
        query = query.where(sa.tuple_(table.started_at, table.id) < here)
    return query.order_by(table.started_at.desc(), table.id.desc()).limit(limit)


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    columns = {
        "instance_project": wanted.project_id,
        "verb": wanted.verb,
        "instance_id": wanted.instance_id,
        "request_id": wanted.request_id,
    }
    found = [actions.c[name] == value for name, value in columns.items() if value is not None]
    return found if wanted.outcome is None else [*found, _OUTCOMES[wanted.outcome]]


def _listed(row: sa.RowMapping) -> Listed:
    is_deleted = row["instance_deleted_at"] is not None
    return Listed(ACTIONS.load(row), row["instance_name"], is_deleted, row["instance_project"])
