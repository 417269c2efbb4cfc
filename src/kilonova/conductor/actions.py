# SPDX-License-Identifier: Apache-2.0
"""The life of an action: accept, hand out, end.

Every function here is one transaction (or part of one): it takes a Connection first and runs in the database thread.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from kilonova.base.errors import InvalidState, NotFound, NoValidHost, StaleWrite
from kilonova.conductor import fitness, images, quota, resize, server_groups, shelving
from kilonova.conductor.effects import ends_in, when_accepted, when_ended
from kilonova.config.quota import QuotaSettings
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import instances as write_instances
from kilonova.db.writers import migrations as write_migrations
from kilonova.objects.action import Action
from kilonova.objects.ids import ActionId, HostName
from kilonova.objects.instance import Fault, Instance
from kilonova.objects.quota import held_by
from kilonova.objects.states import VERBS, ActionState, PowerState, Verb, VmState, observed
from kilonova.rpcapi.conductor import DIFFERENT_HOST, HOST, NETWORKS, SAME_HOST, AcceptAction, CreateServers
from kilonova.rpcapi.host import FETCH, Fetch, Fetched, Finish, WorkItem
from kilonova.rpcapi.method import fitting


def create(
    connection: sa.Connection,
    request: CreateServers,
    action_ids: tuple[ActionId, ...],
    now: datetime,
    quotas: QuotaSettings | None = None,
) -> list[ActionId]:
    """Record instances and their create actions; the ids of the actions that are new.  A repeat changes nothing.

    Raises OverQuota, InvalidInput (their server group is gone); without `quotas` no limit holds.
    """
    if read_actions.is_known(connection, request.instances[0].id, request.context.request_id):
        return []
    count = quota.take_for(connection, quotas, request.instances, request.least)
    new = request.instances[:count]
    params = _where(request)
    for instance, action_id in zip(new, action_ids, strict=False):
        write_instances.insert(connection, instance)
        asked = AcceptAction(request.context, instance.id, Verb.CREATE, params)
        write_actions.insert(connection, _action(action_id, asked, None, now))
    server_groups.join(connection, quotas, new)
    return list(action_ids[:count])


def _where(request: CreateServers) -> dict[str, str]:
    """What a create action says of its place."""
    said = {
        NETWORKS: ",".join(request.networks),
        HOST: request.host or "",
        SAME_HOST: ",".join(request.same_host),
        DIFFERENT_HOST: ",".join(request.different_host),
    }
    return {name: text for name, text in said.items() if text}


def accept(
    connection: sa.Connection,
    asked: AcceptAction,
    action_id: ActionId,
    now: datetime,
    quotas: QuotaSettings | None = None,
) -> HostName | None:
    """Record an action on an existing instance, or refuse it; the host to wake, if there is one.

    Raises NotFound, InvalidState, NoValidHost, OverQuota, or what `when_accepted` and `resize.prepare` do.  A repeat of
    the same request, and a second delete, change nothing.  Without `quotas`, as for what the service asks of itself, no
    limit holds.
    """
    if read_actions.is_known(connection, asked.instance_id, asked.context.request_id):
        return None  # even if it has ended since: its outcome is recorded
    instance = read_instances.get(connection, asked.instance_id)
    already = read_actions.open_of_instance(connection, instance.id)
    if asked.verb is Verb.DELETE and any(action.verb is Verb.DELETE for action in already):
        return instance.host
    _check(instance, asked, already)
    fitness.check(connection, instance, asked)
    asked, prepared = resize.prepare(connection, instance, asked, action_id, now)
    values = when_accepted(instance, asked) | prepared
    if asked.verb is Verb.REBUILD:
        _reclaim(connection, instance, asked)
    asked = shelving.prepared(connection, instance, images.prepared(connection, instance, asked, already))
    rule = VERBS[asked.verb]
    if rule.preempts:
        _supersede(connection, already, asked, now)
    quota.settle(connection, quotas, instance, values)
    write_instances.update(connection, instance.id, now, **values)
    action = _action(action_id, asked, instance.host, now)
    write_actions.insert(connection, action)
    if rule.at_once:
        write_actions.end(connection, action.id, now, ActionState.DONE)
        return None
    if instance.host is None and not rule.places:  # nothing of it is on any host: a delete has nothing to do there
        _end(connection, action, instance, _Outcome(True, None, None), now)
    return instance.host


def _reclaim(connection: sa.Connection, instance: Instance, asked: AcceptAction) -> None:
    """A server whose flavor has no size for its disk has one as large as its image."""
    assert instance.host is not None
    assert asked.image is not None
    if not write_hosts.change_claim(connection, instance.host, instance, replace(instance, image=asked.image)):
        raise NoValidHost(f"Host {instance.host} has no room for a disk of the size of image {asked.image.id}.")


def _supersede(connection: sa.Connection, already: list[Action], by: AcceptAction, now: datetime) -> None:
    for superseded in already:
        why = f"superseded by {by.verb} {by.context.request_id}"
        write_actions.end(connection, superseded.id, now, ActionState.SUPERSEDED, why)


def _check(instance: Instance, asked: AcceptAction, already: list[Action]) -> None:
    verb, rule = asked.verb, VERBS[asked.verb]
    if instance.locked_by is not None and rule.locked and not asked.context.is_admin:
        raise InvalidState(f"Instance {instance.id} is locked", vm_state=instance.vm_state, locked=True)
    in_the_way: str | None = None
    if instance.vm_state not in rule.allowed and not (verb is Verb.UNSHELVE and shelving.is_off_host(instance)):
        in_the_way = f"vm_state {instance.vm_state}"
    elif instance.host is None and not (rule.preempts or rule.at_once or rule.places):
        possible = "unshelved or deleted" if shelving.is_off_host(instance) else "deleted"
        in_the_way = f"vm_state {instance.vm_state}, without a host: it can be {possible}"
    elif already and not rule.preempts and not rule.at_once:
        in_the_way = f"task_state {instance.task_state}"
    if in_the_way is not None:
        raise InvalidState(
            f"Cannot '{verb}' instance {instance.id} while it is in {in_the_way}",
            vm_state=instance.vm_state,
            task_state=instance.task_state,
        )


def _action(action_id: ActionId, asked: AcceptAction, host: HostName | None, now: datetime) -> Action:
    return Action(
        id=action_id,
        instance_id=asked.instance_id,
        verb=asked.verb,
        request_id=asked.context.request_id,
        user_id=asked.context.user_id,
        project_id=asked.context.project_id,
        started_at=now,
        updated_at=now,
        deadline=now + timedelta(seconds=VERBS[asked.verb].deadline_s),
        host=host,
        params=asked.params,
    )


def hand_out(connection: sa.Connection, request: Fetch, now: datetime) -> Fetched:
    """The open actions of a host that it does not run yet, as many as one message takes, under the attempt that it
    names; and those that it runs but that are no longer open.  Raises StaleWrite for an older process of the host."""
    check_epoch(connection, request.host, request.epoch)
    open_actions = read_actions.open_of_host(connection, request.host)
    running = frozenset(request.running)
    fresh = [action for action in open_actions if action.id not in running]
    work = (
        WorkItem(replace(action, attempt=request.attempt), read_instances.get(connection, action.instance_id))
        for action in fresh
    )
    items = tuple(fitting(work, lambda item: FETCH.reply_form.dump_json(Fetched((item,), ()))))
    write_actions.hand_out(connection, [item.action.id for item in items], request.attempt, now)
    still_open = {action.id for action in open_actions}
    revoked = tuple(action_id for action_id in request.running if action_id not in still_open)
    return Fetched(items, revoked, more=len(items) < len(fresh))


def check_epoch(connection: sa.Connection, host: HostName, epoch: int) -> None:
    """Raises StaleWrite unless this is the host's current process."""
    known = read_hosts.process_of(connection, host)
    if known is None or known[0] != epoch:
        raise StaleWrite(f"Host {host} has a newer process than epoch {epoch}.", host=host, epoch=epoch)


@dataclass(frozen=True, slots=True)
class _Outcome:
    succeeded: bool
    power: PowerState | None
    message: str | None


def finish(connection: sa.Connection, report: Finish, now: datetime) -> Verb:
    """End an action as its current attempt says; what it was.  Raises StaleWrite for another attempt; a repeat is
    accepted."""
    action = read_actions.get(connection, report.action_id)
    if action.host != report.host or action.attempt != report.attempt:
        raise StaleWrite(f"Action {action.id} is in other hands now.", action_id=action.id)
    write_actions.record_events(connection, action.id, report.attempt, report.events)
    if action.state is ActionState.OPEN:
        instance = read_instances.get(connection, action.instance_id)
        outcome = _Outcome(report.succeeded, report.power, report.message)
        if outcome.succeeded and action.verb is Verb.SHELVE and images.reference(connection, action) is None:
            outcome = _Outcome(False, outcome.power, "The image was deleted while the server was being shelved.")
        _end(connection, action, instance, outcome, now)
    return action.verb


def fail(connection: sa.Connection, action: Action, message: str, now: datetime) -> None:
    """End an open action as failed, by the conductor's own judgement (no host, deadline)."""
    try:
        instance = read_instances.get(connection, action.instance_id)
    except NotFound:
        write_actions.end(connection, action.id, now, ActionState.FAILED, message)
        return
    _end(connection, action, instance, _Outcome(False, instance.power_state, message), now)


def _end(connection: sa.Connection, action: Action, instance: Instance, outcome: _Outcome, now: datetime) -> None:
    failure = None if outcome.succeeded else Fault(500, outcome.message or "unknown", now)
    state = ActionState.DONE if outcome.succeeded else ActionState.FAILED
    write_actions.end(connection, action.id, now, state, outcome.message)
    if outcome.succeeded and action.verb is Verb.DELETE:
        _gone(connection, instance, now)
        return
    power = PowerState.NOSTATE if outcome.power is None else outcome.power
    values: dict[str, Any] = {"task_state": None, "power_state": power}
    values.update(when_ended(action.verb, succeeded=outcome.succeeded))
    if outcome.succeeded:
        # The verb says where it ends, the hypervisor's last word whether it is still there.
        values.update(vm_state=observed(ends_in(instance, action.verb), power), fault=None)
        if action.verb is Verb.CREATE:
            values["launched_at"] = now
    elif VERBS[action.verb].breaks:
        values.update(vm_state=VmState.ERROR, fault=failure)
    else:  # it is what it is: the reason stands in the action
        values["vm_state"] = observed(instance.vm_state, power)
    values |= resize.settle(connection, action.verb, instance, now, succeeded=outcome.succeeded)
    if failure is not None:
        images.give_up(connection, action)
    values.update(shelving.ended(connection, action, instance, failure, outcome.power, now))
    quota.settle(connection, None, instance, values)
    write_instances.update(connection, instance.id, now, **values)


def _gone(connection: sa.Connection, instance: Instance, now: datetime) -> None:
    quota.give_back(connection, instance.project_id, held_by(instance))
    if instance.host is not None:
        write_hosts.release(connection, instance.host, instance)
    write_instances.release_addresses(connection, instance.id)
    write_migrations.close(connection, instance.id, now)
    write_instances.update(
        connection,
        instance.id,
        now,
        vm_state=VmState.DELETED,
        task_state=None,
        power_state=PowerState.NOSTATE,
        terminated_at=now,
        deleted_at=now,
    )
