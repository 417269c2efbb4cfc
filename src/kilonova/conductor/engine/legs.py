# SPDX-License-Identifier: Apache-2.0
"""From leg to leg: the next leg begins, or the undo of finished legs begins, or the action ends.

A leg that a host has received ends as that host reports.  The conductor itself ends the others.  See
docs/adr/0020-legs.md.  Each function is part of a transaction.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from kilonova.base.errors import NotFound
from kilonova.conductor import outbox
from kilonova.conductor.engine import reschedule
from kilonova.conductor.engine.end import abandon, end
from kilonova.conductor.verbs.delete import release_from_host
from kilonova.conductor.verbs.handler import Outcome
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import instances as write_instances
from kilonova.objects.action import Action
from kilonova.objects.ids import HostName
from kilonova.objects.instance import Instance
from kilonova.objects.leg import (
    Legs,
    after_failure,
    after_failure_of_host,
    after_success,
    after_undo,
    current_index,
    failure,
    has_ended,
    has_failed,
    last_of_host,
    moves_on,
)
from kilonova.objects.states import VERBS, ActionState, PowerState


class Next(NamedTuple):
    """What follows the end of a leg.  `wake` is the host whose leg begins.  `recorded`: the action has ended, and a
    report of the state with which the leg ended would change nothing."""

    wake: HostName | None = None
    recorded: bool = False


def end_leg(tx: Transaction, action: Action, instance: Instance, outcome: Outcome, now: datetime) -> Next:
    """The current leg has ended with this outcome."""
    reporter = action.host
    was_undoing = action.leg.undoes is not None
    reschedule.note_failure(tx, action, outcome, now)
    if outcome.succeeded and moves_on(action.legs):
        reschedule.move_on(tx, action, instance, now)
        return Next()
    legs = _after(tx, action, outcome, now)
    action = replace(action, legs=_without_unreachable(tx, action, legs))
    if has_ended(action.legs):
        recorded = end(tx, action, instance, _in_all(action.legs, instance), now)
        return Next(recorded=recorded and reporter == instance.host)
    write_actions.put_legs(tx, action.id, action.legs, now)
    if action.leg.undoes is not None:
        _begin_undo(tx, action, now, more_time=not was_undoing)
    return Next(action.host)


def _in_all(legs: Legs, instance: Instance) -> Outcome:
    """The outcome of an action whose legs have ended."""
    last = last_of_host(legs, instance.host)
    succeeded, message = not has_failed(legs), failure(legs)
    if last is None:
        return Outcome(succeeded, instance.power_state, message)
    return Outcome(succeeded, last.power, message, read=last.read)


def _after(tx: Transaction, action: Action, outcome: Outcome, now: datetime) -> Legs:
    """The legs after this outcome of the current one."""
    if outcome.succeeded and action.is_cancelled and action.leg.undoes is not None:
        return after_undo(action.legs, outcome.power, outcome.read)
    if outcome.succeeded:
        return after_success(action.legs, outcome.power, outcome.read)
    if reschedule.may_move(tx, action, outcome):
        reschedule.note_move(tx, action, outcome, now)
        return after_failure_of_host(action.legs, outcome.power, outcome.message, outcome.read)
    return after_failure(action.legs, outcome.power, outcome.message, outcome.read)


def fail(tx: Transaction, action: Action, message: str, now: datetime) -> HostName | None:
    """Fail the current leg, which no host has received (no host was found, or the deadline passed)."""
    try:
        instance = read_instances.get(tx, action.instance_id)
    except NotFound:
        write_actions.end(tx, action.id, now, ActionState.FAILED, message)
        return None
    return end_leg(tx, action, instance, Outcome(False, instance.power_state, message), now).wake


def end_leg_of_deleted(
    tx: Transaction, action: Action, instance: Instance, outcome: Outcome, now: datetime
) -> HostName | None:
    """The instance was deleted while this host was down, and the host has now tried to remove the guest.  Until that
    succeeds, the leg stays open and is handed out again.  Returns the host to wake, if another leg begins."""
    if not outcome.succeeded:
        message = f"Deleted; host {action.host} could not remove the guest yet: {outcome.message}"
        write_actions.update(tx, action.id, now, message=message)
        return None
    legs = _without_forgotten(tx, after_success(action.legs, outcome.power))
    if not has_ended(legs):
        write_actions.put_legs(tx, action.id, legs, now)
        return legs[current_index(legs)].host
    write_actions.end(tx, action.id, now, ActionState.DONE, legs=legs)
    outbox.ended(tx, action, instance, now)
    release_from_host(tx, instance)
    return None


def forget_leg(tx: Transaction, action: Action, message: str, now: datetime) -> None:
    """The current leg's host will not return.  The parts of a deleted instance on it stay there.  An action on any
    other instance fails."""
    instance, is_deleted = read_instances.get_known(tx, action.instance_id)
    if not is_deleted:
        fail(tx, action, message, now)
        return
    legs = _without_forgotten(tx, after_success(action.legs, PowerState.NOSTATE))
    if has_ended(legs):
        write_actions.end(tx, action.id, now, ActionState.DONE, message, legs)
        outbox.ended(tx, action, instance, now, message=message)
        write_instances.release_addresses(tx, action.instance_id)
    else:
        write_actions.put_legs(tx, action.id, legs, now)


def _begin_undo(tx: Transaction, action: Action, now: datetime, *, more_time: bool) -> None:
    """The undo gets as much time as the verb, once.  If an operator has forced the host down, the action waits, like an
    action that the host has received."""
    if more_time:
        deadline = now + timedelta(seconds=VERBS[action.verb].deadline_s)
        write_actions.set_deadline(tx, action.id, max(action.deadline, deadline))
    if action.host is not None and read_hosts.is_forced_down(tx, action.host):
        abandon(tx, action, now)


def _without_unreachable(tx: Transaction, action: Action, legs: Legs) -> Legs:
    """The legs, with those failed that would begin now and cannot."""
    while not has_ended(legs):
        leg = legs[current_index(legs)]
        assert leg.host is not None
        if read_hosts.process_of(tx, leg.host) is None:
            if VERBS[action.verb].until_done:  # nothing of the guest will return with the host
                legs = after_success(legs, None)
                continue
            message = f"Host {leg.host} does not exist any more: an operator has deleted its service."
        elif leg.undoes is None and not VERBS[action.verb].preempts and read_hosts.is_forced_down(tx, leg.host):
            message = f"An operator forced host {leg.host} down before its part of {action.verb} began."
        else:
            break
        legs = after_failure(legs, PowerState.NOSTATE, message)
    return legs


def _without_forgotten(tx: Transaction, legs: Legs) -> Legs:
    """The legs, with those done that would begin now on hosts that do not exist any more."""
    while not has_ended(legs):
        host = legs[current_index(legs)].host
        if host is None or read_hosts.process_of(tx, host) is not None:
            break
        legs = after_success(legs, PowerState.NOSTATE)
    return legs
