# SPDX-License-Identifier: Apache-2.0
"""resetState: an administrator corrects the state that an instance shows."""

from collections.abc import Mapping
from typing import Any

from kilonova.conductor.verbs.handler import Acceptance, Accepted, VerbHandler
from kilonova.db.transaction import Transaction
from kilonova.objects.action_params import ResetStateParams
from kilonova.objects.states import Verb, VmState, observed

_STATES = {"active": VmState.ACTIVE, "error": VmState.ERROR}


def _reset(_tx: Transaction, acceptance: Acceptance) -> Accepted:
    """ACTIVE means: no longer in ERROR.  The hypervisor's last power state still decides."""
    params = acceptance.request.params
    assert isinstance(params, ResetStateParams)
    state = _STATES[params.state]
    columns: dict[str, Any] = {
        "vm_state": observed(state, acceptance.instance.power_state),
        "rescue_image": None,
    }
    return Accepted(columns if state is VmState.ERROR else {**columns, "fault": None}, params)


HANDLERS: Mapping[Verb, VerbHandler] = {Verb.RESET_STATE: VerbHandler(accept=_reset)}
