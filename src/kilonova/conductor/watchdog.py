# SPDX-License-Identifier: Apache-2.0
"""The watch over deadlines: no accepted action stays open past its own.

Deadlines are times of the wall clock, because they outlive the process; the wall clock may jump.  So a jump is noticed
against the clock that does not, and the deadlines of what was accepted before it jump along; so do the windows within
which resizes are confirmed.  A jump while no conductor runs is not noticed; docs/adr/0010-a-resize-keeps-a-copy.md says
what then.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from kilonova.base.clock import Clock
from kilonova.conductor import actions
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import migrations as read_migrations
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import migrations as write_migrations
from kilonova.objects.action import Action

JUMP = timedelta(seconds=5)
"""What a clock that is slewed, or read a moment late, does not do between two looks."""


class Jumps:
    """Compares the wall clock with the one that never jumps, from look to look."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = self._now = (clock.now(), clock.monotonic())

    def look(self) -> tuple[datetime, timedelta]:
        """What the wall clock would show had it not jumped since the last look that counts, and by how much it did:
        zero when it did not."""
        self._now = wall, steady = self._clock.now(), self._clock.monotonic()
        expected = self._last[0] + timedelta(seconds=steady - self._last[1])
        jump = wall - expected
        return expected, jump if abs(jump) > JUMP else timedelta(0)

    def count(self) -> None:
        """What was seen at this look has been done."""
        self._last = self._now


def move_deadlines(connection: sa.Connection, expected: datetime, jump: timedelta) -> int:
    """Let the deadlines of actions that were accepted before a jump jump along, and the windows of resizes that waited
    to be confirmed; how many actions there were.

    After a jump back those that began before the new present are left alone: they may have been accepted since, and end
    later than they should at worst.
    """
    present, ahead = expected + jump, jump > timedelta(0)

    def was_before(at: datetime) -> bool:
        return at <= expected if ahead else at > present

    moved = [one for one in read_actions.all_open(connection) if was_before(min(one.started_at, one.updated_at))]
    for action in moved:
        write_actions.update(connection, action.id, present, deadline=action.deadline + jump)
    for migration in read_migrations.all_waiting(connection):
        if was_before(migration.updated_at):
            write_migrations.wait_from(connection, migration.uuid, migration.updated_at + jump)
    return len(moved)


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
