# SPDX-License-Identifier: Apache-2.0
"""resetState: an administrator corrects the state that an instance shows."""

from collections.abc import Mapping
from typing import Any

from kilonova.base.errors import InvalidInput
from kilonova.conductor.verbs.handler import Acceptance, Accepted, VerbHandler
from kilonova.db.transaction import Transaction
from kilonova.objects.states import Verb, VmState, observed

_STATES = {"active": VmState.ACTIVE, "error": VmState.ERROR}


def _reset(_tx: Transaction, acceptance: Acceptance) -> Accepted:
    """ACTIVE means: no longer in ERROR.  The last power state of the hypervisor still decides."""
    state = _STATES.get(acceptance.request.params.get("state", ""))
    if state is None:
        raise InvalidInput("The state must be active or error.", path="os-resetState.state")
    columns: dict[str, Any] = {
        "vm_state": observed(state, acceptance.instance.power_state),
        "rescue_image": None,
    }
    return Accepted(columns if state is VmState.ERROR else {**columns, "fault": None})


HANDLERS: Mapping[Verb, VerbHandler] = {Verb.RESET_STATE: VerbHandler(accept=_reset)}
