# SPDX-License-Identifier: Apache-2.0
"""The end of an action: by the report of its host, by expiry before any host had it, or by an operator's decision.

An action that a host has received ends only by the host's report, because only the host knows the state of the guest.
See docs/adr/0011-a-deadline-is-not-an-outcome.md.  Every function is one transaction, or part of one.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from kilonova.base.errors import NotFound
from kilonova.conductor import outbox, quota
from kilonova.conductor.verbs.handler import Ending, Outcome, Target
from kilonova.conductor.verbs.table import handler_of
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import instances as read_instances
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import instances as write_instances
from kilonova.objects.action import Action
from kilonova.objects.instance import Fault, Instance
from kilonova.objects.leg import after_success
from kilonova.objects.states import VERBS, ActionState, VmState, changes_nothing, observed

NewId = Callable[[], str]


def end_without_host(tx: Transaction, action: Action, instance: Instance, now: datetime) -> None:
    """End an action as done that needs no host, because no host has anything of the instance."""
    end(tx, replace(action, legs=after_success(action.legs, None)), instance, Outcome(True, None, None), now)


def end(tx: Transaction, action: Action, instance: Instance, reported: Outcome, now: datetime) -> bool:
    """End an action with this outcome and these legs, and record the result on its instance.  Returns whether a report
    of the same power state would change nothing in the record."""
    handler = handler_of(action.verb)
    ending = Ending(action, instance, handler.review(tx, action, reported), now)
    state = ActionState.DONE if ending.succeeded else ActionState.FAILED
    if ending.cancelled:
        state = ActionState.CANCELLED
    write_actions.end(tx, action.id, now, state, ending.outcome.message, action.legs)
    columns = {**_declared(ending), **handler.ended(tx, ending)}
    quota.charge_difference(tx, None, instance, columns)
    write_instances.update_from(tx, ending.outcome.read, instance.id, now, columns)
    after = outbox.changed(instance, columns)
    outbox.ended(tx, action, after, now, state=state, message=ending.outcome.message)
    desired_power = columns.get("desired_power", instance.desired_power)
    return after.power_state == ending.power and changes_nothing(after.vm_state, after.power_state, desired_power)


def _declared(ending: Ending) -> dict[str, Any]:
    """The columns that follow from the verb's Transition and target, and from the last report of the hypervisor."""
    instance, power, transition = ending.instance, ending.power, VERBS[ending.action.verb]
    columns: dict[str, Any] = {"task_state": None, "power_state": power}
    if ending.succeeded:
        declared = Target(transition.final_state or instance.vm_state, transition.desired_power)
        target = handler_of(ending.action.verb).target(instance, declared)
        if target.desired_power is not None:
            columns["desired_power"] = target.desired_power
        # The verb declares the end state; the hypervisor's last report shows whether it still holds.
        columns.update(vm_state=observed(target.vm_state, power), fault=None)
    elif transition.error_on_failure and not ending.cancelled:
        columns.update(vm_state=VmState.ERROR, fault=ending.fault)
    else:  # the instance is what it was; the reason is recorded in the action
        columns.update(vm_state=observed(instance.vm_state, power), fault=instance.fault)
    return columns


def abandon(tx: Transaction, action: Action, now: datetime) -> None:
    """An operator has forced the action's host down: the server is in ERROR with this reason, and can be deleted.

    Nothing else of its record changes, so that the action can continue if the host returns.  A server whose cancelled
    action has ended for its user is in ERROR already, for that reason.
    """
    instance = read_instances.get(tx, action.instance_id)
    message = (
        f"An operator forced host {action.host} down while {action.verb} was in progress. It continues if the operator "
        "takes the host back."
    )
    bookkeeping = replace(action.bookkeeping, abandoned_in=instance.vm_state)
    write_actions.end(tx, action.id, now, ActionState.ABANDONED, message)
    write_actions.update(tx, action.id, now, bookkeeping=bookkeeping)
    if action.is_let_go:
        return
    values = {"vm_state": VmState.ERROR, "task_state": None, "fault": Fault(500, message, now)}
    write_instances.update(tx, instance.id, now, **values)
    outbox.updated(tx, outbox.changed(instance, values), now)


def reopen_abandoned(tx: Transaction, action: Action, now: datetime) -> bool:
    """Reopen an abandoned action, and restore the record of its instance, unless the instance is deleted or has a newer
    request.  Returns whether the action is open."""
    instance = _waiting_for(tx, action)
    if instance is None:
        return False
    rule = VERBS[action.verb]
    deadline = now + timedelta(seconds=rule.deadline_s)
    write_actions.update(tx, action.id, now, state=ActionState.OPEN, message=None, ended_at=None, deadline=deadline)
    if action.is_let_go:
        return True
    values = {"vm_state": action.bookkeeping.abandoned_in, "fault": None, "task_state": rule.task_state}
    write_instances.update(tx, instance.id, now, **values)
    outbox.updated(tx, outbox.changed(instance, values), now)
    return True


def _waiting_for(tx: Transaction, action: Action) -> Instance | None:
    """The instance, if it still waits for this abandoned action."""
    try:
        instance = read_instances.get(tx, action.instance_id)
    except NotFound:
        return None
    requested = (one for one in read_actions.of_instance(tx, instance.id) if one.is_requested)
    newest = next((one.id for one in requested if not VERBS[one.verb].immediate), None)
    return instance if newest == action.id and instance.vm_state is VmState.ERROR else None
