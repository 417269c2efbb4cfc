# SPDX-License-Identifier: Apache-2.0
"""rescue, unrescue: boot from another image, with the instance's own disk beside it."""

from collections.abc import Mapping

from kilonova.conductor.verbs import fitness
from kilonova.conductor.verbs.handler import Acceptance, Accepted, Columns, Ending, VerbHandler
from kilonova.db.transaction import Transaction
from kilonova.objects.action_params import RescueParams
from kilonova.objects.hardware import needs
from kilonova.objects.states import PowerState, Verb, observed


def _accept(tx: Transaction, acceptance: Acceptance) -> Accepted:
    instance, params = acceptance.instance, acceptance.request.params
    assert isinstance(params, RescueParams)
    fitness.refuse_tpm(instance, Verb.RESCUE)
    fitness.check_host(tx, instance, needs(instance.flavor, params.image.properties))
    return Accepted({"rescue_image": params.image})


def _rescued(_tx: Transaction, ending: Ending) -> Columns:
    return {} if ending.succeeded else {"rescue_image": None}


def _unrescued(_tx: Transaction, ending: Ending) -> Columns:
    """An instance whose unrescue was refused before anything was changed still runs, and is still rescued.  Otherwise
    its state is neither the old nor the requested one: ERROR, as in Nova."""
    if ending.succeeded:
        return {"rescue_image": None}
    if ending.power is PowerState.RUNNING:
        return {"vm_state": observed(ending.instance.vm_state, ending.power), "fault": ending.instance.fault}
    return {}


HANDLERS: Mapping[Verb, VerbHandler] = {
    Verb.RESCUE: VerbHandler(accept=_accept, ended=_rescued),
    Verb.UNRESCUE: VerbHandler(ended=_unrescued),
}
