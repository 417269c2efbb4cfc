# SPDX-License-Identifier: Apache-2.0
"""shelve, shelveOffload, unshelve: an instance becomes an image, leaves its host, and returns to any host.

An offloaded server has no host and no claim.  Its addresses stay reserved: on its last host, or on all hosts where the
network is one wire.  If the server returns there, it gets them again; elsewhere it gets new ones (see
kilonova.conductor.placement.addressing).
"""

from collections.abc import Mapping
from dataclasses import replace

from kilonova.base.errors import InvalidState
from kilonova.conductor import images
from kilonova.conductor.verbs import fitness, snapshot
from kilonova.conductor.verbs.handler import Acceptance, Accepted, Columns, Ending, Outcome, VerbHandler
from kilonova.db.readers import actions as read_actions
from kilonova.db.transaction import Transaction
from kilonova.db.writers import hosts as write_hosts
from kilonova.objects.action import Action
from kilonova.objects.action_params import UnshelveParams, UnshelveRequest, UnshelveSource
from kilonova.objects.instance import Instance
from kilonova.objects.states import VERBS, Verb, VmState


def newest_verb(tx: Transaction, instance: Instance) -> Verb | None:
    """The last request for the instance."""
    verbs = (action.verb for action in read_actions.of_instance(tx, instance.id))
    requested = (verb for verb in verbs if verb is not Verb.POWER_UPDATE)
    return next((verb for verb in requested if not VERBS[verb].immediate), None)


def _shelve(tx: Transaction, acceptance: Acceptance) -> Accepted:
    fitness.refuse_tpm(acceptance.instance, Verb.SHELVE)
    return snapshot.accept(tx, acceptance)


def _with_its_image(tx: Transaction, action: Action, outcome: Outcome) -> Outcome:
    """A shelved instance needs its image: a user may have deleted it meanwhile."""
    if outcome.succeeded and images.reference(tx, action) is None:
        return replace(outcome, succeeded=False, message="The image was deleted while the server was being shelved.")
    return outcome


def _shelved(tx: Transaction, ending: Ending) -> Columns:
    if not ending.succeeded:
        return snapshot.ended(tx, ending)
    return {"shelved_image": images.reference(tx, ending.action)}


def _offload(tx: Transaction, acceptance: Acceptance) -> Accepted:
    """Raises InvalidState for an offload that would lose the disk."""
    instance = acceptance.instance
    if instance.shelved_image is None or not images.is_there(tx, instance.shelved_image.id):
        raise InvalidState(f"Instance {instance.id} has no image to come back from: it stays on its host.")
    return Accepted()


def _offloaded(tx: Transaction, ending: Ending) -> Columns:
    return _off_host(tx, ending.instance) if ending.succeeded else {}


def _off_host(tx: Transaction, instance: Instance) -> Columns:
    if instance.host is not None:
        write_hosts.release(tx, instance.host, instance)
    return {"host": None, "node": None}


def _unshelve(tx: Transaction, acceptance: Acceptance) -> Accepted:
    instance, params = acceptance.instance, acceptance.request.params
    assert isinstance(params, UnshelveRequest)
    zone = params.availability_zone
    if instance.host is not None and zone is not None:
        raise InvalidState(
            f"Instance {instance.id} is not offloaded: availability_zone is only allowed for SHELVED_OFFLOADED "
            "servers.",
            vm_state=instance.vm_state,
        )
    recorded = UnshelveParams(_source(tx, instance), zone)
    if instance.host is not None:
        return Accepted(params=recorded)
    columns = {} if zone is None else {"requested_zone": zone}
    # An administrator may have reset its state since it was offloaded.
    return Accepted({"vm_state": VmState.SHELVED_OFFLOADED, **columns}, recorded)


def _source(tx: Transaction, instance: Instance) -> UnshelveSource:
    if instance.is_offloaded:
        return UnshelveSource.OFFLOADED
    if newest_verb(tx, instance) is Verb.SHELVE_OFFLOAD:
        return UnshelveSource.OFFLOAD_INCOMPLETE
    return UnshelveSource.DISK


def _unshelved(tx: Transaction, ending: Ending) -> Columns:
    if ending.succeeded:
        return {"shelved_image": None, "launched_at": ending.now}
    params = ending.action.params
    assert isinstance(params, UnshelveParams)
    if params.source is not UnshelveSource.OFFLOADED or ending.action.host is None:
        return {}
    if ending.outcome.power is None or ending.cancelled:
        return _off_host(tx, ending.instance)
    # Parts of it may be on the host: the instance keeps that host, and its claim, until a delete has removed them.
    return {"vm_state": VmState.ERROR, "fault": ending.fault}


HANDLERS: Mapping[Verb, VerbHandler] = {
    Verb.SHELVE: VerbHandler(accept=_shelve, review=_with_its_image, ended=_shelved),
    Verb.SHELVE_OFFLOAD: VerbHandler(accept=_offload, ended=_offloaded),
    Verb.UNSHELVE: VerbHandler(accept=_unshelve, also_allowed=lambda instance: instance.is_offloaded, ended=_unshelved),
}
