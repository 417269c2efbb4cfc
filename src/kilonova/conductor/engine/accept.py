# SPDX-License-Identifier: Apache-2.0
"""Accepting a request: it becomes an action, or is refused.  The end of the action is in kilonova.conductor.engine.end.

The order in one transaction: validate, prepare, charge the quota, record (see kilonova.conductor.verbs.handler).  This
module contains no code for a single verb.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from kilonova.base.errors import InvalidState, NotInThisVersion
from kilonova.conductor import outbox, quota
from kilonova.conductor.attempts import check_known
from kilonova.conductor.engine.end import end_without_host
from kilonova.conductor.engine.plan import PLANS, Plan, plan
from kilonova.conductor.verbs.handler import Acceptance
from kilonova.conductor.verbs.new_action import new_action
from kilonova.conductor.verbs.table import handler_of
from kilonova.config.quota import QuotaSettings
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import instances as read_instances
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import instances as write_instances
from kilonova.objects.action import Action, Bookkeeping
from kilonova.objects.ids import ActionId, HostName
from kilonova.objects.instance import Instance
from kilonova.objects.states import VERBS, ActionState, Verb
from kilonova.rpcapi.api_to_conductor import AcceptAction

CANCELLING = "the cleaning up of a cancelled action, which its host has not ended yet: it can be deleted"
INTERRUPTED = (
    "a resize that did not end: it continues when an operator takes the host back, and the server can be deleted"
)
"""Only the end of the resize removes what it keeps: after another verb the server could never be resized again."""


def accept(
    tx: Transaction,
    request: AcceptAction,
    action_id: ActionId,
    now: datetime,
    quotas: QuotaSettings | None = None,
    plans: Mapping[Verb, Plan] = PLANS,
) -> HostName | None:
    """Record an action on an existing instance, or refuse it.  Returns the host to wake, if there is one.

    Raises NotFound, InvalidState, OverQuota, NotInThisVersion, and the errors of the verb's handler.  A repeat of the
    same request changes nothing.  A second request of a verb that preempts changes nothing either.  Without `quotas`,
    as for requests of the service itself, no limit applies.
    """
    if read_actions.is_known(tx, request.instance_id, request.context.request_id):
        return None  # even if it has ended since: its outcome is recorded
    instance = read_instances.get(tx, request.instance_id)
    open_actions = tuple(read_actions.open_of_instance(tx, instance.id))
    _check_known(request, instance, open_actions)
    transition = VERBS[request.verb]
    if transition.preempts and any(action.verb is request.verb for action in open_actions):
        return instance.host
    _check(instance, request, open_actions)
    legs = plan(tx, request.verb, instance, open_actions, plans)
    prepared = Acceptance(instance, request, action_id, legs, now, open_actions, quotas)
    accepted = handler_of(request.verb).accept(tx, prepared)
    columns = {} if transition.task_state is None else {"task_state": transition.task_state}
    columns.update(accepted.columns)
    quota.charge_difference(tx, quotas, instance, columns)
    if transition.preempts:
        _supersede(tx, instance, open_actions, request, now)
    write_instances.update(tx, instance.id, now, **columns)
    action = new_action(action_id, instance, request, accepted.params, legs, now)
    action = replace(action, bookkeeping=Bookkeeping(former=accepted.former))
    write_actions.insert(tx, action, instance.project_id)
    outbox.began(tx, action, outbox.changed(instance, columns), now)
    if transition.immediate:
        write_actions.end(tx, action.id, now, ActionState.DONE)
        return None
    if action.host is None and not transition.needs_placement:  # no host has anything of it: there is no work
        end_without_host(tx, action, instance, now)
    return action.host


def _check_known(request: AcceptAction, instance: Instance, open_actions: Sequence[Action]) -> None:
    """Raises NotInThisVersion: only a conductor of the newer version can decide what the request does."""
    if not request.verb.is_known:
        raise NotInThisVersion(f"This conductor's version does not have the verb {request.verb}.")
    if not instance.vm_state.is_known:
        raise NotInThisVersion(f"This conductor's version does not have the vm_state {instance.vm_state}.")
    for action in open_actions:
        check_known(action)


def _supersede(
    tx: Transaction, instance: Instance, open_actions: Sequence[Action], by: AcceptAction, now: datetime
) -> None:
    for superseded in open_actions:
        message = f"superseded by {by.verb} {by.context.request_id}"
        write_actions.end(tx, superseded.id, now, ActionState.SUPERSEDED, message)
        outbox.ended(tx, superseded, instance, now, state=ActionState.SUPERSEDED, message=message)


def _check(instance: Instance, request: AcceptAction, open_actions: Sequence[Action]) -> None:
    verb, transition = request.verb, VERBS[request.verb]
    if instance.locked_by is not None and transition.respects_lock and not request.context.is_admin:
        raise InvalidState(f"Instance {instance.id} is locked", vm_state=instance.vm_state, locked=True)
    obstacle: str | None = None
    if instance.vm_state not in transition.allowed and not handler_of(verb).also_allowed(instance):
        obstacle = f"vm_state {instance.vm_state}"
    elif instance.host is None and not (transition.preempts or transition.immediate or transition.needs_placement):
        possible = "unshelved or deleted" if instance.is_offloaded else "deleted"
        obstacle = f"vm_state {instance.vm_state}, without a host: it can be {possible}"
    elif instance.has_interrupted_resize and transition.respects_lock and not transition.preempts:
        obstacle = INTERRUPTED
    elif open_actions and not transition.preempts and not transition.immediate:
        obstacle = f"task_state {instance.task_state}" if instance.task_state else CANCELLING
    if obstacle is not None:
        raise InvalidState(
            f"Cannot '{verb}' instance {instance.id} while it is in {obstacle}",
            vm_state=instance.vm_state,
            task_state=instance.task_state,
        )
