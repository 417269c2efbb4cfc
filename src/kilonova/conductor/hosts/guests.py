# SPDX-License-Identifier: Apache-2.0
"""The reports of hosts about guests, and the database's records of these guests.  Each function is one transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from kilonova.base.context import system_context
from kilonova.base.errors import NotFound
from kilonova.conductor.engine.accept import accept
from kilonova.conductor.engine.fencing import check_epoch
from kilonova.conductor.verbs import power_update
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import tombstones as read_tombstones
from kilonova.db.savepoints import each_in_savepoint
from kilonova.db.transaction import Transaction
from kilonova.db.writers import instances as write_instances
from kilonova.db.writers import notifications as write_notifications
from kilonova.objects.guest import NOT_RESPONDING, ReadMark
from kilonova.objects.ids import ActionId, HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.notification import Notification
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
    StatesRecorded,
)
from kilonova.rpcapi.method import REPLY_BYTES, fitting


def list_expected(tx: Transaction, request: ListExpected) -> Expected:
    """The host's guests as the database records them.  Raises StaleWrite."""
    check_epoch(tx, request.host, request.epoch)
    busy = read_actions.busy_on_host(tx, request.host)
    powers = read_instances.powers_of_host(tx, request.host)
    return Expected(tuple(ExpectedGuest(id_, power, id_ in busy) for id_, power in powers.items()))


def classify_guests(tx: Transaction, request: ClassifyGuests, reply_limit: int = REPLY_BYTES) -> GuestClasses:
    """Which guests on a host should not be there, in a reply of at most `reply_limit` bytes.  A superfluous copy on a
    host that was given up counts as deleted there.  Raises StaleWrite."""
    check_epoch(tx, request.host, request.epoch)
    known = read_instances.get_all_known(tx, request.guests)
    copies = read_tombstones.superfluous_among(tx, request.host, request.guests)
    deleted: list[Instance] = []
    elsewhere: list[InstanceId] = []
    for instance, is_deleted in known:
        if instance.id in copies:
            deleted.append(instance)
        elif instance.host != request.host:
            elsewhere.append(instance.id)
        elif is_deleted:
            deleted.append(instance)
    # An open action removes its own guest here.
    elsewhere = [id_ for id_ in elsewhere if not _open_here(tx, id_, request.host)]
    deleted = [
        one for one in deleted if not any(VERBS[verb].until_done for verb in _open_here(tx, one.id, request.host))
    ]
    strange = set(request.guests) - {instance.id for instance, _ in known}
    without = (without_secrets(one) for one in deleted)
    first = fitting(without, lambda one: len(CLASSIFY_GUESTS.reply_form.dump_json(GuestClasses((one,)))), reply_limit)
    return GuestClasses(tuple(first), tuple(elsewhere), tuple(sorted(strange)))


def without_secrets(instance: Instance) -> Instance:
    """The record for the removal of a guest, without what its owner gave to the guest."""
    return replace(instance, user_data=None, key_data=None, files=(), metadata={})


def _open_here(tx: Transaction, instance_id: InstanceId, host: HostName) -> frozenset[Verb]:
    """The verbs of the instance's open actions that have a leg on the host."""
    return frozenset(one.verb for one in read_actions.open_of_instance(tx, instance_id) if host in one.hosts)


def report_states(
    tx: Transaction, request: ReportStates, action_ids: Sequence[ActionId], now: datetime
) -> StatesRecorded:
    """Record the hypervisor's reports of guests.  Each change becomes an ended action under one of `action_ids` (one
    for each state).  Raises StaleWrite.

    A guest with an open action does not change: the action decides.  While an operator has interrupted an action, a
    report does not change whether the guest should run.  A read that began before the read that is
    recorded changes nothing (docs/adr/0031).  A guest that the hypervisor does not know is shown as NOSTATE, never as
    off.  A repeat changes nothing.
    """
    process = check_epoch(tx, request.host, request.epoch)

    def report(one: tuple[Observed, ActionId]) -> InstanceId | None:
        seen, action_id = one
        # (a host of code version 1 numbers no reads; goes in version 3)
        read = ReadMark(process.process_id, seen.number) if seen.number else None
        return seen.instance_id if _report_state(tx, request.host, seen, read, (action_id, now)) else None

    pairs = zip(request.states, action_ids, strict=True)
    results = each_in_savepoint(tx, pairs, report, "a guest's state")
    return StatesRecorded(tuple(recorded for recorded in results if recorded is not None))


def _report_state(
    tx: Transaction, host: HostName, seen: Observed, read: ReadMark | None, change: tuple[ActionId, datetime]
) -> bool:
    """Whether the record is now as reported."""
    try:
        instance, last = read_instances.get_with_read(tx, seen.instance_id)
    except NotFound:
        return False
    if instance.host != host or (read is not None and read.is_before(last)):
        return False
    if read_actions.open_of_instance(tx, instance.id):
        return False
    if (owed := _owed(tx, instance, seen)) is not None:
        _repeat(tx, instance, owed, *change)
        return False
    if not _observe(tx, instance, seen, read, change) and read not in (None, last):
        write_instances.note_read(tx, instance.id, read)
    return True


def _owed(tx: Transaction, instance: Instance, seen: Observed) -> Verb | None:
    """The verb that must be repeated: the last request was a verb that stays open until it is done (a delete), it
    failed while the hypervisor did not know the guest's state, and now the hypervisor reports the guest as off."""
    if instance.vm_state is not VmState.ERROR or instance.power_state is not PowerState.NOSTATE:
        return None
    if seen.power not in (PowerState.SHUTDOWN, PowerState.CRASHED):
        return None
    requested = (action for action in read_actions.of_instance(tx, instance.id) if action.is_requested)
    newest = next(requested, None)
    if newest is None or newest.state is not ActionState.FAILED or not VERBS[newest.verb].until_done:
        return None
    return newest.verb


def _repeat(tx: Transaction, instance: Instance, verb: Verb, action_id: ActionId, now: datetime) -> None:
    """Record the action; the host receives it at its next fetch."""
    context = replace(system_context(f"req-{action_id}"), project_id=instance.project_id)
    accept(tx, AcceptAction(context, instance.id, verb), action_id, now)


def _observe(
    tx: Transaction, instance: Instance, seen: Observed, read: ReadMark | None, change: tuple[ActionId, datetime]
) -> bool:
    """Record what is new in a report.  Returns whether anything is."""
    action_id, now = change
    power = PowerState.NOSTATE if seen.power is None else seen.power
    vm_state = observed(instance.vm_state, power)
    desired_power = desired(instance.desired_power, power, seen.reason)
    if desired_power is not instance.desired_power and _is_interrupted(tx, instance):
        desired_power = instance.desired_power  # the action may have powered the guest off, and decides when it goes on
    if (power, vm_state, desired_power) == (instance.power_state, instance.vm_state, instance.desired_power):
        return False
    columns = {"power_state": power, "vm_state": vm_state, "desired_power": desired_power}
    write_instances.update_from(tx, read, instance.id, now, columns)
    changed = power != instance.power_state or vm_state != instance.vm_state
    # NOSTATE is the middle of a change, which is recorded at its end; except for a guest that does not respond.
    if changed and (seen.power is not PowerState.NOSTATE or seen.reason == NOT_RESPONDING):
        after = replace(instance, power_state=power, vm_state=vm_state)
        power_update.record(tx, after, seen, action_id, now)
    return True


def _is_interrupted(tx: Transaction, instance: Instance) -> bool:
    """Whether an operator has interrupted an action of the instance, which may go on."""
    assert instance.host is not None
    return any(action.instance_id == instance.id for action in read_actions.abandoned(tx, instance.host))


def notify(tx: Transaction, request: Notify) -> None:
    """Keep a notification, once."""
    notice = request.notice
    notification = Notification(request.host, notice.at, notice.event_type, notice.priority, notice.payload)
    write_notifications.insert_once(tx, notice.id, notification)
