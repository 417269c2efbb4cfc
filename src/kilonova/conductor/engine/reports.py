# SPDX-License-Identifier: Apache-2.0
"""Reports of hosts about actions: their ends and the events of their attempts.

A report is accepted only from the attempt that the leg was handed out under (see hand_out, attempts).  Each function is
one transaction.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from kilonova.conductor.attempts import check_attempt, check_known
from kilonova.conductor.engine import cancel
from kilonova.conductor.engine.cancel import before_cancel
from kilonova.conductor.engine.end import reopen_abandoned
from kilonova.conductor.engine.legs import Next, end_leg, end_leg_of_deleted
from kilonova.conductor.engine.reschedule import note_success
from kilonova.conductor.verbs.handler import Outcome
from kilonova.conductor.verbs.start_after_boot import resume_after
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import work as read_work
from kilonova.db.readers.work import Work
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.objects.guest import ReadMark
from kilonova.objects.ids import ActionRef, HostName
from kilonova.objects.instance import Instance
from kilonova.objects.leg import moves_on
from kilonova.objects.states import ActionState, PowerState, Verb
from kilonova.rpcapi.host_to_conductor import Finish, RecordEvents

NewId = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Finished:
    """`wake` is the host whose leg of the same action begins now; `place` is the action, if it needs another host;
    `recorded`: see rpcapi.host_to_conductor.Ended."""

    verb: Verb
    wake: HostName | None = None
    place: ActionRef | None = None
    recorded: bool = False


def finish(tx: Transaction, report: Finish, new_id: NewId, now: datetime) -> Finished:
    """End a leg of an action as its current attempt reports.  Raises StaleWrite for another attempt, NotInThisVersion
    for an action of a newer version.  A repeat is accepted and changes nothing, also if its leg is no longer the
    current one.

    A report also continues an abandoned action, unless the instance has a newer request.  A state of the guest that was
    recorded from a newer read stays (docs/adr/0031).
    """
    work = read_work.of_action(tx, report.leg.action_id)
    action = work.action
    check_attempt(action, report)
    check_known(action)
    write_actions.record_events(tx, action.id, report.attempt, report.events)
    if report.leg.index != action.current:
        return Finished(action.verb)
    if action.state is ActionState.OPEN or (
        action.state is ActionState.ABANDONED and reopen_abandoned(tx, action, now)
    ):
        place = ActionRef(action.id, action.request_id) if moves_on(action.legs) and report.succeeded else None
        following = _finish_open(tx, work, report, new_id, now)
        return Finished(action.verb, following.wake, place, following.recorded)
    return Finished(action.verb)


def _finish_open(tx: Transaction, work: Work, report: Finish, new_id: NewId, now: datetime) -> Next:
    action, instance, is_deleted = work.action, work.instance, work.is_deleted
    if action.state is ActionState.ABANDONED:  # it was reopened, which has changed its instance
        instance, is_deleted = read_instances.get_known(tx, action.instance_id)
    instance = before_cancel(action, instance)
    if report.refused and action.is_cancelled and action.leg.undoes is not None and not is_deleted:
        cancel.refuse(tx, action, instance, report.message, now)
        return Next()
    reported = Outcome(report.succeeded, report.power, report.message, report.of_host, report.read)
    outcome = _newest(reported, instance, work.read)
    if is_deleted:
        return Next(end_leg_of_deleted(tx, action, instance, outcome, now))
    if work.failed_here and outcome.succeeded:
        note_success(tx, action)
    following = end_leg(tx, action, instance, outcome, now)
    resume_after(tx, action, instance, new_id, now)
    return following._replace(recorded=following.recorded and outcome.power == reported.power)


def _newest(reported: Outcome, instance: Instance, last: ReadMark | None) -> Outcome:
    """The outcome with the state of the guest that the newest read has found.  While an action was abandoned, reports
    about its guest were recorded, and one of them may be newer than the last read by the action."""
    if reported.read is None or not reported.read.is_before(last):
        return reported
    is_recorded = instance.power_state == (PowerState.NOSTATE if reported.power is None else reported.power)
    return replace(reported, power=reported.power if is_recorded else instance.power_state, read=last)


def record_events(tx: Transaction, request: RecordEvents) -> None:
    """Raises StaleWrite, NotFound."""
    action = read_actions.get(tx, request.leg.action_id)
    check_attempt(action, request)
    write_actions.record_events(tx, action.id, request.attempt, request.events)
