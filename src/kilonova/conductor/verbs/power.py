# SPDX-License-Identifier: Apache-2.0
"""stop, start, reboot.  The other power verbs need no handler: their Transitions declare everything."""

from collections.abc import Mapping
from dataclasses import replace

from kilonova.base.errors import InvalidState
from kilonova.conductor.verbs.handler import Acceptance, Accepted, Columns, Ending, Target, VerbHandler
from kilonova.db.transaction import Transaction
from kilonova.objects.action_params import RebootParams
from kilonova.objects.instance import Instance
from kilonova.objects.states import VERBS, TaskState, Verb, VmState

_BETWEEN = (VmState.RESCUED, VmState.RESIZED)
"""The states that a start after a boot of the host does not change."""


def _already_there(_tx: Transaction, ending: Ending) -> Columns:
    """A stop that failed counts as done if the guest is off, and a start if the guest runs."""
    wanted = VERBS[ending.action.verb].desired_power
    return {"desired_power": wanted} if ending.power is wanted and not ending.succeeded else {}


def _started(instance: Instance, declared: Target) -> Target:
    return replace(declared, vm_state=instance.vm_state) if instance.vm_state in _BETWEEN else declared


def _accept_reboot(_tx: Transaction, acceptance: Acceptance) -> Accepted:
    """A soft reboot needs a running guest; a hard reboot is possible in any allowed state."""
    instance, params = acceptance.instance, acceptance.request.params
    assert isinstance(params, RebootParams)
    if params.type == "HARD":
        hard = {"task_state": TaskState.REBOOTING_HARD}
        # After a failed rescue or unrescue the guest boots its own disk.
        return Accepted({**hard, "rescue_image": None} if instance.vm_state is VmState.ERROR else hard, params)
    if instance.vm_state is not VmState.ACTIVE:
        raise InvalidState(
            f"Cannot 'reboot' instance {instance.id} while it is in vm_state {instance.vm_state}: a hard reboot can",
            vm_state=instance.vm_state,
        )
    return Accepted(params=params)


HANDLERS: Mapping[Verb, VerbHandler] = {
    Verb.STOP: VerbHandler(ended=_already_there),
    Verb.START: VerbHandler(target=_started, ended=_already_there),
    Verb.REBOOT: VerbHandler(accept=_accept_reboot),
}
