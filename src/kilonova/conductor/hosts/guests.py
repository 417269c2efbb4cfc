# SPDX-License-Identifier: Apache-2.0
"""What hosts report about guests, and what the database says about them.  Each function is one transaction."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from kilonova.base.context import system_context
from kilonova.base.errors import NotFound
from kilonova.conductor.engine.accept import accept
from kilonova.conductor.engine.fencing import check_epoch
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import instances as read_instances
from kilonova.db.savepoints import each_in_savepoint
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import instances as write_instances
from kilonova.db.writers import notifications as write_notifications
from kilonova.objects.action import Action, ActionEvent
from kilonova.objects.guest import NOT_RESPONDING
from kilonova.objects.ids import ActionId, AttemptId, HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import VERBS, ActionState, PowerState, Verb, VmState, desired, observed
from kilonova.rpcapi.api_to_conductor import AcceptAction
from kilonova.rpcapi.host_to_conductor import (
    CLASSIFY_GUESTS,
    ClassifyGuests,
    Expected,
    ExpectedGuest,
    GuestClasses,
    ListExpected,
    Notify,
    Observed,
    ReportStates,
)
from kilonova.rpcapi.method import fitting

MOST_CHANGES, FLAPPING = 5, timedelta(minutes=1)
"""So many changes of a guest by itself, within this time, are told of one by one."""
COUNT = "count"
"""The parameter of an action that stands for many changes."""


def list_expected(tx: Transaction, request: ListExpected) -> Expected:
    """What the database believes of the host's guests.  Raises StaleWrite."""
    check_epoch(tx, request.host, request.epoch)
    busy = {action.instance_id for action in read_actions.open_of_host(tx, request.host)}
    powers = read_instances.powers_of_host(tx, request.host)
    return Expected(tuple(ExpectedGuest(id_, power, id_ in busy) for id_, power in powers.items()))


def classify_guests(tx: Transaction, request: ClassifyGuests) -> GuestClasses:
    """Which guests on a host should not be there.  Raises StaleWrite."""
    check_epoch(tx, request.host, request.epoch)
    known = read_instances.get_all_known(tx, request.guests)
    deleted: list[Instance] = []
    elsewhere: list[InstanceId] = []
    for instance, is_deleted in known:
        if instance.host != request.host:
            elsewhere.append(instance.id)
        elif is_deleted:
            deleted.append(instance)
    open_actions = read_actions.open_of_host(tx, request.host)
    leaving = {action.instance_id for action in open_actions if action.verb is Verb.DELETE}
    deleted = [one for one in deleted if one.id not in leaving]
    strange = set(request.guests) - {instance.id for instance, _ in known}
    first = fitting(deleted, lambda one: CLASSIFY_GUESTS.reply_form.dump_json(GuestClasses((one,))))
    return GuestClasses(tuple(first), tuple(elsewhere), tuple(sorted(strange)))


def report_states(tx: Transaction, request: ReportStates, action_ids: Sequence[ActionId], now: datetime) -> None:
    """Record what the hypervisor says of guests, each change as an ended action under one of `action_ids` (one for each
    state).  Raises StaleWrite.

    A guest with an open action is left to it.  A guest that the hypervisor does not know is shown as NOSTATE, never
    as off.  A repeat changes nothing.
    """
    check_epoch(tx, request.host, request.epoch)

    def report(one: tuple[Observed, ActionId]) -> None:
        _report_state(tx, request.host, *one, now)

    deque(each_in_savepoint(tx, zip(request.states, action_ids, strict=True), report, "a guest's state"), maxlen=0)


def _report_state(tx: Transaction, host: HostName, seen: Observed, action_id: ActionId, now: datetime) -> None:
    try:
        instance = read_instances.get(tx, seen.instance_id)
    except NotFound:
        return
    if instance.host == host and not read_actions.open_of_instance(tx, instance.id):
        if _is_owed(tx, instance, seen):
            _delete_again(tx, instance, action_id, now)
        else:
            _observe(tx, instance, seen, action_id, now)


def _is_owed(tx: Transaction, instance: Instance, seen: Observed) -> bool:
    """Whether the last that was asked for is a delete that failed, of a guest that the hypervisor could say nothing of
    then and now calls off: an accepted delete is not forgotten."""
    if instance.vm_state is not VmState.ERROR or instance.power_state is not PowerState.NOSTATE:
        return False
    if seen.power not in (PowerState.SHUTDOWN, PowerState.CRASHED):
        return False
    asked = [action for action in read_actions.of_instance(tx, instance.id) if action.verb in VERBS]
    return bool(asked) and (asked[0].verb, asked[0].state) == (Verb.DELETE, ActionState.FAILED)


def _delete_again(tx: Transaction, instance: Instance, action_id: ActionId, now: datetime) -> None:
    """The host finds it when it next looks for work."""
    context = replace(system_context(f"req-{action_id}"), project_id=instance.project_id)
    accept(tx, AcceptAction(context, instance.id, Verb.DELETE), action_id, now)


def _observe(tx: Transaction, instance: Instance, seen: Observed, action_id: ActionId, now: datetime) -> None:
    power = PowerState.NOSTATE if seen.power is None else seen.power
    vm_state = observed(instance.vm_state, power)
    wish = desired(instance.desired_power, power, seen.reason)
    if (power, vm_state, wish) == (instance.power_state, instance.vm_state, instance.desired_power):
        return
    write_instances.update(tx, instance.id, now, power_state=power, vm_state=vm_state, desired_power=wish)
    changed = power != instance.power_state or vm_state != instance.vm_state
    # NOSTATE is the middle of a change, which is told when it is over; but for a guest that does not respond.
    if changed and (seen.power is not PowerState.NOSTATE or seen.reason == NOT_RESPONDING):
        _record(tx, instance, seen, action_id, now)


def _record(tx: Transaction, instance: Instance, seen: Observed, action_id: ActionId, now: datetime) -> None:
    """People find in the server's actions that it changed by itself, when, and what the hypervisor gave as the reason.
    The project is the instance's, so that its own users can match the host's id.  A guest that flaps is told of in one
    action, with a count."""
    newest = read_actions.newest_of_instance(tx, instance.id, MOST_CHANGES)
    if _flaps(newest, now):
        count = int(newest[0].params.get(COUNT, "1")) + 1
        message = f"{_in_words(seen)} ({count} changes since {newest[0].started_at:%Y-%m-%d %H:%M:%S} UTC)"
        params = {**newest[0].params, COUNT: str(count)}
        write_actions.update(tx, newest[0].id, now, message=message, params=params, ended_at=now)
        return
    system = system_context(f"req-{action_id}")
    action = Action(
        id=action_id,
        instance_id=instance.id,
        verb=Verb.POWER_UPDATE,
        request_id=system.request_id,
        user_id=system.user_id,
        project_id=instance.project_id,
        started_at=now,
        updated_at=now,
        deadline=now,
        state=ActionState.DONE,
        host=instance.host,
        message=_in_words(seen),
        ended_at=now,
    )
    write_actions.insert(tx, action)
    step = ActionEvent("compute_power_update", now, now, "Success", instance.host)
    write_actions.record_events(tx, action_id, AttemptId(action_id), (step,))


def _flaps(newest: list[Action], now: datetime) -> bool:
    """Whether a change more is one of many: the newest actions are all such changes, within a minute."""
    if not newest or newest[0].verb is not Verb.POWER_UPDATE or now - newest[0].updated_at > FLAPPING:
        return False
    if COUNT in newest[0].params:
        return True
    changes = [one for one in newest if one.verb is Verb.POWER_UPDATE and now - one.started_at <= FLAPPING]
    return len(changes) == MOST_CHANGES


def _in_words(seen: Observed) -> str:
    if seen.power is None:
        return "The hypervisor does not know this guest."
    word = seen.power.name.lower()
    return f"{word}: {seen.reason}" if seen.reason else word


def notify(tx: Transaction, request: Notify) -> None:
    """Keep a notification, once."""
    notice = request.notice
    write_notifications.insert(
        tx,
        id=notice.id,
        host=request.host,
        at=notice.at,
        event_type=notice.event_type,
        priority=notice.priority,
        payload=notice.payload,
    )
