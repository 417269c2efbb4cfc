# SPDX-License-Identifier: Apache-2.0
"""What shelving, offloading and unshelving do to a record besides what their Rules say.  Parts of transactions.

An offloaded server has no host and no claim.  Its addresses stay held: on the host that it left, or on all where the
network is one wire.  If it comes back there, it has them again; elsewhere it gets new ones (see `addressing`).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from kilonova.base.errors import InvalidState
from kilonova.conductor import images
from kilonova.db.readers import actions as read_actions
from kilonova.db.transaction import Transaction
from kilonova.db.writers import hosts as write_hosts
from kilonova.objects.action import FROM_SHELF, OFFLOADED, TORN, Action
from kilonova.objects.instance import Fault, Instance
from kilonova.objects.states import VERBS, PowerState, Verb, VmState
from kilonova.rpcapi.api_to_conductor import AcceptAction


def prepared(tx: Transaction, instance: Instance, asked: AcceptAction) -> AcceptAction:
    """The request with what its host must know.  Raises InvalidState for an offloading that would lose the disk."""
    if asked.verb is Verb.SHELVE_OFFLOAD:
        image = instance.shelved_image
        if image is None or not images.is_there(tx, image.id):
            raise InvalidState(f"Instance {instance.id} has no image to come back from: it stays on its host.")
    if asked.verb is not Verb.UNSHELVE:
        return asked
    found = OFFLOADED if is_off_host(instance) else ""
    if not found and newest_verb(tx, instance) is Verb.SHELVE_OFFLOAD:
        found = TORN
    return replace(asked, params={**asked.params, FROM_SHELF: found})


def is_off_host(instance: Instance) -> bool:
    """Whether it has left its host for the shelf, whatever an administrator has called it since."""
    return instance.host is None and instance.shelved_image is not None


def newest_verb(tx: Transaction, instance: Instance) -> Verb | None:
    """What was asked for last."""
    asked = (action.verb for action in read_actions.of_instance(tx, instance.id) if action.verb in VERBS)
    return next((verb for verb in asked if not VERBS[verb].at_once), None)


def ended(
    tx: Transaction,
    action: Action,
    instance: Instance,
    failure: Fault | None,
    power: PowerState | None,
    now: datetime,
) -> Mapping[str, Any]:
    """The instance's fields that change with the end of such an action, over what its Rule says.  `power` as the host
    has told it: None when nothing of the guest is there."""
    match action.verb:
        case Verb.SHELVE if failure is None:
            return {"shelved_image": images.reference(tx, action)}
        case Verb.SHELVE_OFFLOAD if failure is None:
            return _off_host(tx, instance)
        case Verb.UNSHELVE if failure is None:
            return {"shelved_image": None, "launched_at": now}
        case Verb.UNSHELVE:
            return _not_unshelved(tx, action, instance, failure, power)
        case _:
            return {}


def _off_host(tx: Transaction, instance: Instance) -> Mapping[str, Any]:
    if instance.host is not None:
        write_hosts.release(tx, instance.host, instance)
    return {"host": None, "node": None}


def _not_unshelved(
    tx: Transaction, action: Action, instance: Instance, failure: Fault | None, power: PowerState | None
) -> Mapping[str, Any]:
    if action.params.get(FROM_SHELF) != OFFLOADED or action.host is None:
        return {}
    if power is None:
        return _off_host(tx, instance)
    # Something of it may be on the host: that keeps it, with its claim, until a delete has looked.
    return {"vm_state": VmState.ERROR, "fault": failure}
