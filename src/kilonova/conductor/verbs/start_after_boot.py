# SPDX-License-Identifier: Apache-2.0
"""Starting the guests that should run after their host has booted, by actions that users can list.

A guest that a shelving or a rescue has powered off, before it failed, is started in the same way.

An instance without an open action is started in the transaction that records the boot.  For an instance with an open
action, the transaction that ends the action decides: an action in progress at the power failure (a snapshot, a pause, a
confirmation) does not show whether the guest runs.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from kilonova.base.context import system_context
from kilonova.conductor import outbox
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import instances as read_instances
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import instances as write_instances
from kilonova.objects.action import Action, Bookkeeping
from kilonova.objects.ids import ActionId, HostName
from kilonova.objects.instance import Instance
from kilonova.objects.leg import one_leg
from kilonova.objects.states import RESUMED, VERBS, ActionState, PowerState, Verb, VmState

DEADLINE_S = 3600.0
"""The deadline of each of these starts: libvirt can be slow after a boot, and the last start waits for all before
it."""
ORDER = timedelta(microseconds=1)
"""The time between two of these starts, so that a host gets them in the order in which the instances were made."""

_MAYBE_OFF = (PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.NOSTATE)
"""A guest whose host could not read it may be off: the start leaves a guest that runs as it is."""
_POWERED_OFF = (Verb.SHELVE, Verb.RESCUE)
"""Verbs that power a guest off, and whose failure leaves the server as before.  (The undo of a resize starts the guest
by itself.)"""
_RAN = (VmState.ACTIVE, VmState.PAUSED)


def resume_host(tx: Transaction, host: HostName, new_id: Callable[[], str], now: datetime) -> int:
    """Start the guests of a host that has booted.  Returns their number.  Open actions are marked, for
    `resume_after`, and interrupted ones, which may go on."""
    busy = read_actions.busy_on_host(tx, host)
    theirs = [action for id_ in busy for action in read_actions.open_of_instance(tx, id_)]
    working = (*read_actions.open_of_host(tx, host), *theirs, *read_actions.abandoned(tx, host))
    for action in {one.id: one for one in working}.values():
        write_actions.update(tx, action.id, now, bookkeeping=replace(action.bookkeeping, open_at_boot=True))
    found = [one for one in read_instances.to_run_on_host(tx, host, RESUMED) if one.id not in busy]
    for number, instance in enumerate(found, start=1):
        _start(tx, instance, new_id, now + number * ORDER)
    return len(found)


def resume_after(tx: Transaction, action: Action, before: Instance, new_id: Callable[[], str], now: datetime) -> None:
    """Start the action's guest if it should run and may be off, and the action was open while its host booted, or was
    cancelled or failed after it had powered the guest off.  `before`: the instance before the end of the action."""
    failed = _has_failed(tx, action, before)
    if not action.bookkeeping.open_at_boot and not action.is_cancelled and not failed:
        return
    host = read_instances.get_known(tx, action.instance_id)[0].host
    if host is None:
        return
    for instance in read_instances.to_run_on_host(tx, host, RESUMED, only=action.instance_id):
        if instance.power_state in _MAYBE_OFF and not read_actions.open_of_instance(tx, instance.id):
            _start(tx, instance, new_id, now, host_boot=action.bookkeeping.open_at_boot)


def _has_failed(tx: Transaction, action: Action, before: Instance) -> bool:
    if action.verb not in _POWERED_OFF or before.vm_state not in _RAN:
        return False
    return read_actions.get(tx, action.id).state is ActionState.FAILED


def _start(
    tx: Transaction, instance: Instance, new_id: Callable[[], str], now: datetime, *, host_boot: bool = True
) -> None:
    context = system_context(f"req-{new_id()}")
    action = Action(
        id=ActionId(new_id()),
        instance_id=instance.id,
        verb=Verb.START,
        request_id=context.request_id,
        user_id=context.user_id,
        project_id=context.project_id,
        started_at=now,
        updated_at=now,
        deadline=now + timedelta(seconds=DEADLINE_S),
        legs=one_leg(instance.host, Verb.START),
        bookkeeping=Bookkeeping(host_boot=host_boot),
        counted_at=now,
    )
    write_actions.insert(tx, action, instance.project_id)
    task_state = VERBS[Verb.START].task_state
    write_instances.update(tx, instance.id, now, task_state=task_state)
    outbox.began(tx, action, replace(instance, task_state=task_state), now)
