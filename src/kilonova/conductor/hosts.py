# SPDX-License-Identifier: Apache-2.0
"""What hosts tell: who they are, what they have, what their hypervisor says.  Each function is one transaction."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from kilonova.base.context import system_context
from kilonova.base.errors import Conflict, NotFound, StaleWrite
from kilonova.base.unset import UNSET
from kilonova.conductor import lost_hosts
from kilonova.conductor.actions import accept
from kilonova.conductor.processes import check_epoch
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers.hosts import COMPUTE
from kilonova.db.savepoints import each_in_savepoint
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import aggregates as write_aggregates
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import instances as write_instances
from kilonova.db.writers import notifications as write_notifications
from kilonova.objects.action import Action, ActionEvent
from kilonova.objects.guest import NOT_RESPONDING
from kilonova.objects.ids import ActionId, AttemptId, HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import VERBS, ActionState, PowerState, Verb, VmState, desired, observed
from kilonova.rpcapi.conductor import AcceptAction, UpdateService
from kilonova.rpcapi.host import (
    JUDGE_GUESTS,
    Expected,
    ExpectedGuest,
    Judged,
    JudgeGuests,
    ListExpected,
    Notify,
    Observed,
    RecordEvents,
    RegisterHost,
    ReportInventory,
    ReportStates,
    SetHostEnabled,
)
from kilonova.rpcapi.method import fitting
from kilonova.rpcapi.operators import DeleteService

MOST_CHANGES, FLAPPING = 5, timedelta(minutes=1)
"""So many changes of a guest by itself, within this time, are told of one by one."""
COUNT = "count"
"""The parameter of an action that stands for many changes."""


def register(tx: Transaction, request: RegisterHost, service_id: str, now: datetime) -> int:
    """The epoch of a process that was admitted (see processes.admit); the same process gets the same one again."""
    known = read_hosts.process_of(tx, request.host)
    values: dict[str, Any] = {
        "topic": request.topic,
        "zone": request.availability_zone,
        "process_id": request.process_id,
        "boot_id": request.boot_id,
        "state_id": request.state_id or None,
        "started_s": request.started_s,
        "registered_at": now,
        "left_at": None,
        "version": request.version,
        "up": True,
    }
    if known is None:
        write_hosts.insert_service(tx, now, id=service_id, host=request.host, binary=COMPUTE, epoch=1, **values)
        return 1
    if known.process_id == request.process_id:
        return known.epoch
    write_hosts.update_service(tx, request.host, COMPUTE, now, epoch=known.epoch + 1, **values)
    return known.epoch + 1


def report_inventory(tx: Transaction, request: ReportInventory) -> None:
    """Raises StaleWrite."""
    check_epoch(tx, request.host, request.epoch)
    write_hosts.put_inventory(tx, request.host, request.node_id, request.inventory)


def set_enabled(tx: Transaction, request: SetHostEnabled, now: datetime) -> None:
    """The host's own word on its hypervisor; an operator's disable stays.  Raises StaleWrite."""
    check_epoch(tx, request.host, request.epoch)
    for service in read_hosts.list_services(tx, host=request.host, binary=COMPUTE):
        if request.enabled and service.disabled_by_host:
            values: dict[str, Any] = {"disabled": False, "disabled_reason": None, "disabled_by_host": False}
        elif not request.enabled and not service.disabled:
            values = {"disabled": True, "disabled_reason": request.reason[:255], "disabled_by_host": True}
        else:
            return
        write_hosts.update_service(tx, request.host, COMPUTE, now, **values)


def operator_update(tx: Transaction, request: UpdateService, now: datetime) -> None:
    """An operator's word wins over the host's.  To call a host down ends what it has in progress (see lost_hosts).
    Raises NotFound."""
    service = read_hosts.get_service(tx, request.service_id)
    values: dict[str, Any] = {}
    if request.disabled is not UNSET:
        values = {"disabled": request.disabled, "disabled_reason": request.disabled_reason, "disabled_by_host": False}
    if request.forced_down is not UNSET:
        values["forced_down"] = request.forced_down
    write_hosts.update_service_by_id(tx, request.service_id, now, **values)
    if request.forced_down is not UNSET and service.binary == COMPUTE:
        lost_hosts.call_down(tx, service.host, now, forced=request.forced_down)


def delete_service(tx: Transaction, request: DeleteService, now: datetime) -> None:
    """Forget a service and what its host had.  Raises Conflict while it is up or has instances; that there is none is
    no error.  A host that comes back registers as a new one, and removes the guests of instances that were deleted
    meanwhile (compute/reaper)."""
    try:
        service = read_hosts.get_service(tx, request.service_id)
    except NotFound:
        return
    if service.up and not service.forced_down:
        raise Conflict(f"The service on host {service.host} is up: stop it first, or it would register again.")
    if read_instances.powers_of_host(tx, service.host):
        raise Conflict(
            f"Unable to delete compute service that is hosting instances. Migrate or delete the instances on "
            f"{service.host} first."
        )
    lost_hosts.forget(tx, service.host, now)
    write_aggregates.remove_host(tx, service.host)
    write_hosts.delete_service(tx, service)


def list_expected(tx: Transaction, request: ListExpected) -> Expected:
    """What the database believes of the host's guests.  Raises StaleWrite."""
    check_epoch(tx, request.host, request.epoch)
    busy = {action.instance_id for action in read_actions.open_of_host(tx, request.host)}
    powers = read_instances.powers_of_host(tx, request.host)
    return Expected(tuple(ExpectedGuest(id_, power, id_ in busy) for id_, power in powers.items()))


def judge_guests(tx: Transaction, request: JudgeGuests) -> Judged:
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
    first = fitting(deleted, lambda one: JUDGE_GUESTS.reply_form.dump_json(Judged((one,))))
    return Judged(tuple(first), tuple(elsewhere), tuple(sorted(strange)))


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


def record_events(tx: Transaction, request: RecordEvents) -> None:
    """Raises StaleWrite, NotFound."""
    action = read_actions.get(tx, request.action_id)
    if action.host != request.host or action.attempt != request.attempt:
        raise StaleWrite(f"Action {action.id} is owned by a newer attempt.", action_id=action.id)
    write_actions.record_events(tx, action.id, request.attempt, request.events)


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
