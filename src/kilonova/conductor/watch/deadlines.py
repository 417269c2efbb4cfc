# SPDX-License-Identifier: Apache-2.0
"""The watch over deadlines.

A deadline bounds the time in which the work was possible, and is not an outcome
(docs/adr/0011-a-deadline-is-not-an-outcome.md).  An action that no host has received expires: the conductor ends it.
An action that a host has received is ended by the host, which receives it as expired.  A delete has no deadline.

Deadlines are times of the wall clock, because they outlive the process.  `counted_at` is the time up to which an
action's time was counted, by the clock of the database.  Each look is claimed by one conductor.  A gap longer than the
time between two looks means that no conductor worked meanwhile (they were away, stood still, or the clock jumped), and
the deadline moves by the gap.  The windows for the confirmation of resizes move with jumps of the database's clock that
a running conductor detects, once for each jump; docs/adr/0010-a-resize-keeps-a-copy.md describes the effect of jumps
that are not detected.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from kilonova.base.clock import Clock
from kilonova.conductor.engine.hand_out import is_overdue
from kilonova.conductor.engine.legs import fail
from kilonova.conductor.hosts import lost_hosts
from kilonova.conductor.placement import waiting
from kilonova.db.database_time import database_now
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import migrations as read_migrations
from kilonova.db.readers.hosts import COMPUTE
from kilonova.db.transaction import Snapshot, Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import migrations as write_migrations
from kilonova.db.writers import rounds
from kilonova.objects.action import Action
from kilonova.objects.ids import ActionId, ActionRef, HostName
from kilonova.objects.service import Service

JUMP = timedelta(seconds=5)
"""A difference of clocks that a slewed clock, or a late reading, does not reach between two looks."""
LATE = timedelta(seconds=10)
"""How much later than its interval a look may come, on a busy machine, without counting as a standstill."""
GRACE = timedelta(seconds=90)
"""The minimum that remains of a deadline after the conductor or the host was away: work begins again from the first
step."""
WAITING = "Waiting for host "


class Jumps:
    """Compares the wall clock with the monotonic clock, at each look."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = self._now = (clock.now(), clock.monotonic())

    def look(self, wall: datetime) -> tuple[datetime, timedelta]:
        """`wall` is the time by the clock of the database.  Returns the time that it would show without a jump since
        the last counted look, and the size of the jump: zero without a jump."""
        self._now = wall, steady = wall, self._clock.monotonic()
        expected = self._last[0] + timedelta(seconds=steady - self._last[1])
        jump = wall - expected
        return expected, jump if abs(jump) > JUMP else timedelta(0)

    def count(self) -> None:
        """The work of this look is done: the next look is compared with it."""
        self._last = self._now


MOVES = "moves of windows"


def look_at_clock(snapshot: Snapshot, now: datetime) -> tuple[datetime, int]:
    """The time by the clock of the database, and the number of moves of the windows so far."""
    return database_now(snapshot, now), rounds.serial(snapshot, MOVES)


def move_windows_once(tx: Transaction, expected: datetime, jump: timedelta, since: int, holder: str) -> bool:
    """Each conductor notices the same jump: move the windows unless another conductor has done it, that is, unless
    there were more than `since` moves.  Returns whether they were moved."""
    if not rounds.advance(tx, MOVES, holder, since, expected + jump):
        return False
    move_windows(tx, expected, jump)
    return True


def move_windows(tx: Transaction, expected: datetime, jump: timedelta) -> None:
    """After a jump of the clock, move the windows of resizes that waited for their confirmation before the jump.

    After a jump back, windows that began before the new present do not move: they may have begun since the jump, and at
    worst they end later than they should.
    """
    present, ahead = expected + jump, jump > timedelta(0)
    for migration in read_migrations.all_waiting(tx):
        if migration.updated_at <= expected if ahead else migration.updated_at > present:
            write_migrations.wait_from(tx, migration.uuid, migration.updated_at + jump)


def count_time(tx: Transaction, interval_s: float, now: datetime) -> list[ActionRef]:
    """Count the time of every open action since the last look, record what it waits for, and finish for their users the
    deletes of hosts that are down.  Returns the actions that are due to expire.

    Time in which no conductor worked is not counted, neither is it part of the time that a create waits for a host.
    For an action that a host has received, time in which the host was down or out of service is not counted either.
    """
    now = database_now(tx, now)
    services = {service.host: service for service in read_hosts.list_services(tx, binary=COMPUTE)}
    for service in services.values():
        if service.forced_down or not service.up:
            lost_hosts.delete_for_users(tx, service.host, now)
    open_actions = read_actions.all_open(tx)
    still = timedelta(seconds=interval_s) + LATE
    due: list[ActionRef] = []
    for action in open_actions:
        passed = now - (action.counted_at or action.started_at)
        why = _waits_for(action, services)
        _record_wait(tx, action, why or _overruns(action), now)
        if passed > still or passed < -JUMP:
            waiting.move(tx, action, passed)
        if why is not None or passed > still or passed < -JUMP:
            write_actions.set_deadline(tx, action.id, max(action.deadline + passed, now + GRACE))
        elif not action.leg.ends_by_report and is_overdue(replace(action, counted_at=now)):
            due.append(ActionRef(action.id, action.request_id))
    if open_actions:
        write_actions.count_open(tx, now)
    return due


def _waits_for(action: Action, services: Mapping[HostName, Service]) -> str | None:
    """Why the current leg's host cannot work on it now; None when it can, or when the conductor can end the leg."""
    if action.host is None or not action.leg.ends_by_report:
        return None
    service = services.get(action.host)
    if service is None or not service.up or service.forced_down:
        since = "" if service is None else f" since {service.updated_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"{WAITING}{action.host}, which is down{since}."
    if service.disabled_by_host:
        return f"{WAITING}{action.host}: {service.disabled_reason}"
    return None


def _overruns(action: Action) -> str | None:
    """What an action waits for when a host still works on it after its deadline; None when none does."""
    said = action.message is not None and not action.message.startswith(WAITING)  # (it was cancelled)
    if said or action.host is None or not action.leg.ends_by_report or not is_overdue(action):
        return None
    time = f"{action.deadline:%Y-%m-%d %H:%M:%S} UTC"
    return f"{WAITING}{action.host}, which has not ended the work: its time was up at {time}."


def _record_wait(tx: Transaction, action: Action, why: str | None, now: datetime) -> None:
    """Record the reason in the open action's message, once for each wait."""
    recorded = action.message is not None and action.message.startswith(WAITING)
    if (why is not None) != recorded:
        write_actions.update(tx, action.id, now, message=why)


def expire(tx: Transaction, action_id: ActionId, now: datetime) -> bool:
    """End a leg that no host has received, of an action whose deadline has passed.  Returns False if this no longer
    applies."""
    action = read_actions.get(tx, action_id)
    if not read_actions.is_open(action) or action.leg.ends_by_report or not is_overdue(action):
        return False
    where = f"host {action.host} never fetched it" if action.host else "no host was found for it"
    fail(tx, action, f"{action.verb} did not begin within its deadline: {where}.", now)
    return True
