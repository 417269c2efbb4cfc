# SPDX-License-Identifier: Apache-2.0
"""The watch over deadlines: no accepted action stays open past its own."""

from datetime import datetime

import sqlalchemy as sa

from kilonova.conductor import actions
from kilonova.db.readers import actions as read_actions
from kilonova.objects.action import Action


def overdue(connection: sa.Connection, now: datetime) -> list[Action]:
    """Open actions past their deadline."""
    return [action for action in read_actions.all_open(connection) if action.deadline <= now]


def end_overdue(connection: sa.Connection, now: datetime) -> int:
    """End them as failed, each with its own message; how many there were.  The hosts hear of it when they next ask."""
    late = overdue(connection, now)
    for action in late:
        where = f"host {action.host}" if action.host else "no host"
        actions.fail(connection, action, f"{action.verb} did not end within its deadline ({where}).", now)
    return len(late)
