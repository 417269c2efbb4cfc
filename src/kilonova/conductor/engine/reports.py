# SPDX-License-Identifier: Apache-2.0
"""What hosts report about actions: their ends and the events of their attempts.

A report is accepted only from the attempt that owns the action (see hand_out).  Each function is one transaction.
"""

from collections.abc import Callable
from datetime import datetime

from kilonova.base.errors import StaleWrite
from kilonova.conductor.engine.end import Outcome, end, release_from_host, reopen
from kilonova.conductor.engine.resuming import resume_after
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import instances as read_instances
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.objects.action import Action
from kilonova.objects.instance import Instance
from kilonova.objects.states import ActionState, Verb
from kilonova.rpcapi.host_to_conductor import Finish, RecordEvents

NewId = Callable[[], str]


def finish(tx: Transaction, report: Finish, new_id: NewId, now: datetime) -> Verb:
    """End an action as its current attempt says; its verb.  Raises StaleWrite for another attempt; a repeat is
    accepted.

    An abandoned action ends as its host says, too, while nothing else was asked of the instance since.
    """
    action = read_actions.get(tx, report.action_id)
    if action.host != report.host or action.attempt != report.attempt:
        raise StaleWrite(f"Action {action.id} is owned by a newer attempt.", action_id=action.id)
    write_actions.record_events(tx, action.id, report.attempt, report.events)
    if action.state is ActionState.ABANDONED and not reopen(tx, action, now):
        return action.verb
    if action.state in (ActionState.OPEN, ActionState.ABANDONED):
        _finish_open(tx, action, report, new_id, now)
    return action.verb


def _finish_open(tx: Transaction, action: Action, report: Finish, new_id: NewId, now: datetime) -> None:
    instance, is_deleted = read_instances.get_known(tx, action.instance_id)
    outcome = Outcome(report.succeeded, report.power, report.message)
    if is_deleted:
        _clean_up_reported(tx, action, instance, outcome, now)
        return
    end(tx, action, instance, outcome, now)
    resume_after(tx, action, new_id, now)


def _clean_up_reported(tx: Transaction, action: Action, instance: Instance, outcome: Outcome, now: datetime) -> None:
    """The host of an instance that was deleted without it has tried to remove what it has.  Until it has, the action
    stays open and is handed out again."""
    if outcome.succeeded:
        write_actions.end(tx, action.id, now, ActionState.DONE)
        release_from_host(tx, instance)
    else:
        message = f"Deleted; host {action.host} could not remove the guest yet: {outcome.message}"
        write_actions.update(tx, action.id, now, message=message)


def record_events(tx: Transaction, request: RecordEvents) -> None:
    """Raises StaleWrite, NotFound."""
    action = read_actions.get(tx, request.action_id)
    if action.host != request.host or action.attempt != request.attempt:
        raise StaleWrite(f"Action {action.id} is owned by a newer attempt.", action_id=action.id)
    write_actions.record_events(tx, action.id, request.attempt, request.events)
