# SPDX-License-Identifier: Apache-2.0
"""How an action ends: by its host's report, by expiry before any host had it, or by an operator's word.

What a host was given ends by what the host says: it alone knows what became of the guest.  See
docs/adr/0011-a-deadline-is-not-an-outcome.md.  Every function is one transaction, or part of one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from kilonova.base.errors import NotFound
from kilonova.conductor import images, quota, resize, shelving
from kilonova.conductor.effects import breaks, desired_after, ends_in, when_ended
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import instances as read_instances
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import instances as write_instances
from kilonova.db.writers import migrations as write_migrations
from kilonova.objects.action import VM_STATE, Action
from kilonova.objects.instance import Fault, Instance
from kilonova.objects.leg import after_success
from kilonova.objects.quota import held_by
from kilonova.objects.states import VERBS, ActionState, PowerState, Verb, VmState, observed

NewId = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a leg, or its action, ended.  `power` is the hypervisor's last report; None: the guest is provably absent."""

    succeeded: bool
    power: PowerState | None
    message: str | None


def end_without_host(tx: Transaction, action: Action, instance: Instance, now: datetime) -> None:
    """End an action that needs no host, since nothing of the instance is on any, as done."""
    end(tx, replace(action, legs=after_success(action.legs, None)), instance, Outcome(True, None, None), now)


def end(tx: Transaction, action: Action, instance: Instance, outcome: Outcome, now: datetime) -> None:
    """End an action with this outcome and these legs, and record on its instance what follows from it."""
    if outcome.succeeded and action.verb is Verb.SHELVE and images.reference(tx, action) is None:
        outcome = Outcome(False, outcome.power, "The image was deleted while the server was being shelved.")
    failure = None if outcome.succeeded else Fault(500, outcome.message or "unknown", now)
    state = ActionState.DONE if outcome.succeeded else ActionState.FAILED
    write_actions.end(tx, action.id, now, state, outcome.message, action.legs)
    if outcome.succeeded and action.verb is Verb.DELETE:
        release_from_project(tx, instance, now)
        release_from_host(tx, instance)
        return
    power = PowerState.NOSTATE if outcome.power is None else outcome.power
    values: dict[str, Any] = {
        "task_state": None,
        "power_state": power,
        "desired_power": desired_after(instance, action.verb, power, succeeded=outcome.succeeded),
    }
    values.update(when_ended(action.verb, succeeded=outcome.succeeded))
    if outcome.succeeded:
        # The verb says where it ends, the hypervisor's last word whether it is still there.
        values.update(vm_state=observed(ends_in(instance, action.verb), power), fault=None)
        if action.verb is Verb.CREATE:
            values["launched_at"] = now
    elif breaks(action.verb, power):
        values.update(vm_state=VmState.ERROR, fault=failure)
    else:  # it is what it is: the reason stands in the action
        values["vm_state"] = observed(instance.vm_state, power)
    values |= resize.settle(tx, action.verb, instance, now, succeeded=outcome.succeeded)
    if failure is not None:
        images.give_up(tx, action)
    values.update(shelving.ended(tx, action, instance, failure, outcome.power, now))
    quota.settle(tx, None, instance, values)
    write_instances.update(tx, instance.id, now, **values)


def release_from_project(tx: Transaction, instance: Instance, now: datetime) -> None:
    """The instance is deleted: off its project's list and quota."""
    quota.give_back(tx, instance.project_id, held_by(instance))
    write_migrations.close(tx, instance.id, now)
    write_instances.update(
        tx,
        instance.id,
        now,
        vm_state=VmState.DELETED,
        task_state=None,
        power_state=PowerState.NOSTATE,
        terminated_at=now,
        deleted_at=now,
    )


def release_from_host(tx: Transaction, instance: Instance) -> None:
    """Nothing of the instance is on its host any more: the claim and the addresses are free."""
    if instance.host is not None:
        write_hosts.release(tx, instance.host, instance)
    write_instances.release_addresses(tx, instance.id)


def abandon(tx: Transaction, action: Action, now: datetime) -> None:
    """An operator has called the action's host down: the server is in ERROR, says why, and can be deleted.

    Nothing else of its record changes, so that the action can go on if the host comes back.
    """
    instance = read_instances.get(tx, action.instance_id)
    message = (
        f"An operator called host {action.host} down while {action.verb} was in progress. It goes on if the operator "
        "takes the host back."
    )
    params = {**action.params, VM_STATE: instance.vm_state.value}
    write_actions.end(tx, action.id, now, ActionState.ABANDONED, message)
    write_actions.update(tx, action.id, now, params=params)
    values = {"vm_state": VmState.ERROR, "task_state": None, "fault": Fault(500, message, now)}
    write_instances.update(tx, instance.id, now, **values)


def reopen_abandoned(tx: Transaction, action: Action, now: datetime) -> bool:
    """An abandoned action is open again, unless its instance is gone or something else was asked of it since; whether
    it is."""
    if not _reopen(tx, action, now):
        return False
    rule = VERBS[action.verb]
    deadline = now + timedelta(seconds=rule.deadline_s)
    write_actions.update(tx, action.id, now, state=ActionState.OPEN, message=None, ended_at=None, deadline=deadline)
    write_instances.update(tx, action.instance_id, now, task_state=rule.task_state)
    return True


def _reopen(tx: Transaction, action: Action, now: datetime) -> bool:
    """Whether the instance still waits for this abandoned action; then it is again what it was before."""
    try:
        instance = read_instances.get(tx, action.instance_id)
    except NotFound:
        return False
    asked = (one for one in read_actions.of_instance(tx, instance.id) if one.verb in VERBS)
    newest = next((one.id for one in asked if not VERBS[one.verb].at_once), None)
    if newest != action.id or instance.vm_state is not VmState.ERROR:
        return False
    values = {"vm_state": VmState(action.params[VM_STATE]), "fault": None}
    write_instances.update(tx, instance.id, now, **values)
    return True
