# SPDX-License-Identifier: Apache-2.0
"""create: the only verb that makes its instances."""

from collections.abc import Mapping
from datetime import datetime

from kilonova.conductor import outbox, quota, server_groups
from kilonova.conductor.verbs.delete import release_from_host
from kilonova.conductor.verbs.handler import Columns, Ending, VerbHandler
from kilonova.conductor.verbs.new_action import new_action
from kilonova.config.quota import QuotaSettings
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import instances as write_instances
from kilonova.objects.action_params import CreateParams
from kilonova.objects.ids import ActionId
from kilonova.objects.leg import one_leg
from kilonova.objects.states import Verb, VmState
from kilonova.rpcapi.api_to_conductor import AcceptAction, CreateServers


def create(
    tx: Transaction,
    request: CreateServers,
    action_ids: tuple[ActionId, ...],
    now: datetime,
    quotas: QuotaSettings | None = None,
) -> list[ActionId]:
    """Record instances and their create actions.  Returns the ids of the new actions; a repeat changes nothing.

    Raises OverQuota, InvalidInput (the server group does not exist).  Without `quotas` no limit applies.
    """
    if not write_instances.insert(tx, request.instances[0]):
        return []
    count = quota.take_for(tx, quotas, request.instances, request.least)
    new = request.instances[:count]
    params = CreateParams(request.networks, request.fixed_ips, request.host, request.same_host, request.different_host)
    for instance in new[1:]:
        write_instances.insert(tx, instance)
    for instance, action_id in zip(new, action_ids, strict=False):
        legs = one_leg(instance.host, Verb.CREATE)
        accepted = AcceptAction(request.context, instance.id, Verb.CREATE)
        action = new_action(action_id, instance, accepted, params, legs, now)
        write_actions.insert_first(tx, action, instance.project_id)
        outbox.began(tx, action, instance, now)
    server_groups.join(tx, quotas, new)
    return list(action_ids[:count])


def _ended(tx: Transaction, ending: Ending) -> Columns:
    if ending.succeeded:
        return {"launched_at": ending.now}
    return _cancelled(tx, ending) if ending.cancelled else {}


def _cancelled(tx: Transaction, ending: Ending) -> Columns:
    """The instance is in ERROR as after a failure, and nothing of it is on a host."""
    release_from_host(tx, ending.instance)
    zone = ending.instance.requested_zone
    left: Columns = {"host": None, "node": None, "availability_zone": zone, "addresses": ()}
    return {**left, "vm_state": VmState.ERROR, "fault": ending.fault}


HANDLERS: Mapping[Verb, VerbHandler] = {Verb.CREATE: VerbHandler(ended=_ended)}
