# SPDX-License-Identifier: Apache-2.0
"""The beginning of an action.  How it ends is in kilonova.conductor.engine.end.

Every function here is one transaction (or part of one): it takes a Connection first and runs in the database thread.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from kilonova.base.errors import InvalidState, NoValidHost
from kilonova.conductor import images, quota, resize, server_groups, shelving
from kilonova.conductor.effects import when_accepted
from kilonova.conductor.engine.end import end_without_host, release_from_project
from kilonova.conductor.verbs import fitness
from kilonova.config.quota import QuotaSettings
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import instances as write_instances
from kilonova.objects.action import Action
from kilonova.objects.ids import ActionId, HostName
from kilonova.objects.instance import Instance
from kilonova.objects.states import VERBS, ActionState, Verb
from kilonova.objects.told import NO_VALID_HOST
from kilonova.rpcapi.api_to_conductor import (
    DIFFERENT_HOST,
    FIXED_IPS,
    HOST,
    NETWORKS,
    SAME_HOST,
    AcceptAction,
    CreateServers,
)

log = structlog.get_logger(__name__)

SHUTDOWN_MOST_S = 3600.0
"""By so much, at the most, an image's os_shutdown_timeout moves the deadlines of its servers' actions."""


def create(
    tx: Transaction,
    request: CreateServers,
    action_ids: tuple[ActionId, ...],
    now: datetime,
    quotas: QuotaSettings | None = None,
) -> list[ActionId]:
    """Record instances and their create actions; the ids of the actions that are new.  A repeat changes nothing.

    Raises OverQuota, InvalidInput (their server group is gone); without `quotas` no limit holds.
    """
    if read_actions.is_known(tx, request.instances[0].id, request.context.request_id):
        return []
    count = quota.take_for(tx, quotas, request.instances, request.least)
    new = request.instances[:count]
    params = _where(request)
    for instance, action_id in zip(new, action_ids, strict=False):
        write_instances.insert(tx, instance)
        asked = AcceptAction(request.context, instance.id, Verb.CREATE, params)
        write_actions.insert(tx, _action(action_id, instance, asked, now))
    server_groups.join(tx, quotas, new)
    return list(action_ids[:count])


def _where(request: CreateServers) -> dict[str, str]:
    """What a create action says of its place."""
    said = {
        NETWORKS: ",".join(request.networks),
        FIXED_IPS: ",".join(request.fixed_ips) if any(request.fixed_ips) else "",
        HOST: request.host or "",
        SAME_HOST: ",".join(request.same_host),
        DIFFERENT_HOST: ",".join(request.different_host),
    }
    return {name: text for name, text in said.items() if text}


def accept(
    tx: Transaction,
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
    if read_actions.is_known(tx, asked.instance_id, asked.context.request_id):
        return None  # even if it has ended since: its outcome is recorded
    instance = read_instances.get(tx, asked.instance_id)
    already = read_actions.open_of_instance(tx, instance.id)
    if asked.verb is Verb.DELETE and any(action.verb is Verb.DELETE for action in already):
        return instance.host
    _check(instance, asked, already)
    fitness.check(tx, instance, asked)
    asked, prepared = resize.prepare(tx, instance, asked, action_id, now)
    values = when_accepted(instance, asked) | prepared
    if asked.verb is Verb.REBUILD:
        _reclaim(tx, instance, asked)
    asked = shelving.prepared(tx, instance, images.prepared(tx, instance, asked, already, quotas))
    rule = VERBS[asked.verb]
    if rule.preempts:
        _supersede(tx, already, asked, now)
    quota.settle(tx, quotas, instance, values)
    write_instances.update(tx, instance.id, now, **values)
    action = _action(action_id, instance, asked, now)
    write_actions.insert(tx, action)
    if rule.at_once:
        write_actions.end(tx, action.id, now, ActionState.DONE)
        return None
    if instance.host is None and not rule.places:  # nothing of it is on any host: a delete has nothing to do there
        end_without_host(tx, action, instance, now)
    elif asked.verb is Verb.DELETE and not _is_up(tx, instance):
        release_from_project(tx, instance, now)  # its host removes the guest when it is back
    return instance.host


def _is_up(tx: Transaction, instance: Instance) -> bool:
    return instance.host is not None and read_hosts.is_up(tx, instance.host)


def _reclaim(tx: Transaction, instance: Instance, asked: AcceptAction) -> None:
    """A server whose flavor has no size for its disk has one as large as its image."""
    assert instance.host is not None
    assert asked.image is not None
    if not write_hosts.change_claim(tx, instance.host, instance, replace(instance, image=asked.image)):
        raise NoValidHost(
            f"{NO_VALID_HOST} {instance.host} has no room for a disk of the size of image {asked.image.id}."
        )


def _supersede(tx: Transaction, already: list[Action], by: AcceptAction, now: datetime) -> None:
    for superseded in already:
        why = f"superseded by {by.verb} {by.context.request_id}"
        write_actions.end(tx, superseded.id, now, ActionState.SUPERSEDED, why)


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


def _action(action_id: ActionId, instance: Instance, asked: AcceptAction, now: datetime) -> Action:
    # An image may ask for more time for its guests to shut themselves down.
    more_s = min(float(instance.image.properties.get("os_shutdown_timeout", 0)), SHUTDOWN_MOST_S)
    return Action(
        id=action_id,
        instance_id=asked.instance_id,
        verb=asked.verb,
        request_id=asked.context.request_id,
        user_id=asked.context.user_id,
        project_id=asked.context.project_id,
        started_at=now,
        updated_at=now,
        deadline=now + timedelta(seconds=VERBS[asked.verb].deadline_s + more_s),
        host=instance.host,
        params=asked.params,
        counted_at=now,
    )
