# SPDX-License-Identifier: Apache-2.0
"""Cancelling an action (docs/cancel.md, docs/adr/0036-cancel.md).

An action that no host has received ends in the transaction of the cancel.  Otherwise the host's leg has failed, and a
leg that undoes it begins: the host stops the run, because its leg is not current any more, and then undoes its steps.
A host whose run has passed its point of no return refuses the undo, and the leg is current again.  Each function is one
transaction, or part of one.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from kilonova.base.errors import InvalidState
from kilonova.conductor.attempts import check_known
from kilonova.conductor.engine.legs import end_leg
from kilonova.conductor.verbs.handler import Outcome
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import instances as write_instances
from kilonova.objects.action import Action, ActionEvent, Cancel
from kilonova.objects.ids import AttemptId, HostName
from kilonova.objects.instance import Fault, Instance
from kilonova.objects.leg import continued, to_undo
from kilonova.objects.states import VERBS, VmState
from kilonova.rpcapi.cancel import CancelAction, CancelReply

EVENT = "conductor.cancel"
DELETE_STAYS = "A delete cannot be cancelled: parts of the server may be gone."
OLD_HOST = (
    "Host {host} has code version 1, which cannot cancel work that has begun: upgrade the host, or delete the server."
)
FIRST_VERSION = 2
"""The first code version of a host that names points of no return."""


class Cancelled(NamedTuple):
    """`wake` is the host whose leg begins."""

    reply: CancelReply
    wake: HostName | None = None


def cancel(tx: Transaction, request: CancelAction, now: datetime) -> Cancelled:
    """Cancel an action, unless it has ended or passed its point of no return.  A repeat changes nothing.

    Raises NotFound, InvalidState for a locked instance, NotInThisVersion.
    """
    action = read_actions.get(tx, request.action_id)
    check_known(action)
    if not read_actions.is_open(action):
        return Cancelled(CancelReply())
    instance, _is_deleted = read_instances.get_known(tx, action.instance_id)
    rule, known = VERBS[action.verb], action.bookkeeping.cancel
    if instance.locked_by is not None and rule.respects_lock and not request.context.is_admin:
        raise InvalidState(f"Instance {instance.id} is locked", vm_state=instance.vm_state, locked=True)
    if rule.until_done:
        return Cancelled(CancelReply(DELETE_STAYS))
    if known is None:
        by = request.context.user_name or request.context.user_id
        return _begin(tx, _with(action, Cancel(by, now)), instance, now)
    if request.let_go and known.refused is None and known.let_go_from is None:
        _let_go(tx, action, instance, now)
    return Cancelled(CancelReply(known.refused or ""))


def _begin(tx: Transaction, action: Action, instance: Instance, now: datetime) -> Cancelled:
    host, leg, message = action.host, action.leg, _message(action)
    # A host of version 1 would undo work beyond its point of no return (goes in version 3).
    if host is not None and leg.attempt is not None and (read_hosts.version_of(tx, host) or 0) < FIRST_VERSION:
        return Cancelled(CancelReply(OLD_HOST.format(host=host)))
    _tell(tx, action, ActionEvent(EVENT, now, now, "Success", details=message))
    write_actions.update(tx, action.id, now, bookkeeping=action.bookkeeping)
    if not leg.ends_by_report:
        outcome = Outcome(False, instance.power_state, message)
        return Cancelled(CancelReply(), end_leg(tx, action, instance, outcome, now).wake)
    write_actions.put_legs(tx, action.id, to_undo(action.legs, message), now)
    deadline = now + timedelta(seconds=VERBS[action.verb].deadline_s)
    write_actions.set_deadline(tx, action.id, max(action.deadline, deadline))
    if host is not None and not read_hosts.is_up(tx, host):
        _let_go(tx, action, instance, now)
    return Cancelled(CancelReply(), host)


def _let_go(tx: Transaction, action: Action, instance: Instance, now: datetime) -> None:
    """End the action for its user before its host has ended its work: the instance is in ERROR, and can be deleted.
    The action stays open.  Its end records the state that the host then reports."""
    requested = action.bookkeeping.cancel
    assert requested is not None
    message = f"{_message(action)} Its host has not ended the work yet; until then the server can only be deleted."
    let_go = _with(action, replace(requested, let_go_from=instance.vm_state))
    write_actions.update(tx, action.id, now, bookkeeping=let_go.bookkeeping, message=message)
    values = {"vm_state": VmState.ERROR, "task_state": None, "fault": Fault(500, message, now)}
    write_instances.update(tx, instance.id, now, **values)


def before_cancel(action: Action, instance: Instance) -> Instance:
    """The instance as it was before a cancelled action ended for its user."""
    requested = action.bookkeeping.cancel
    if requested is None or requested.let_go_from is None:
        return instance
    fault = instance.fault if requested.let_go_from is VmState.ERROR else None
    return replace(instance, vm_state=requested.let_go_from, fault=fault)


def refuse(tx: Transaction, action: Action, before: Instance, why: str | None, now: datetime) -> None:
    """The host has passed the point of no return of the cancelled leg: the leg continues.  `before`: see
    before_cancel."""
    requested = action.bookkeeping.cancel
    assert requested is not None
    reason = why or "Its host has passed the point of no return."
    refused = _with(action, replace(requested, refused=reason, let_go_from=None))
    write_actions.update(tx, action.id, now, bookkeeping=refused.bookkeeping, message=None)
    write_actions.put_legs(tx, action.id, continued(action.legs), now)
    _tell(tx, action, ActionEvent(EVENT, requested.at, now, "Error", details=reason))
    if requested.let_go_from is not None:
        values = {"vm_state": before.vm_state, "fault": before.fault, "task_state": VERBS[action.verb].task_state}
        write_instances.update(tx, before.id, now, **values)


def _message(action: Action) -> str:
    requested = action.bookkeeping.cancel
    assert requested is not None
    return f"Cancelled by {requested.by} at {requested.at:%Y-%m-%d %H:%M:%S} UTC."


def _with(action: Action, requested: Cancel) -> Action:
    return replace(action, bookkeeping=replace(action.bookkeeping, cancel=requested))


def _tell(tx: Transaction, action: Action, event: ActionEvent) -> None:
    write_actions.record_events(tx, action.id, AttemptId(action.id), (event,))
