# SPDX-License-Identifier: Apache-2.0
"""What only an administrator does: reset state."""

from typing import Literal

from pydantic import Field

from kilonova.api.body import Body
from kilonova.api.call import Call, Reply
from kilonova.api.compute.actions.row import ActionRow, Rows, accept
from kilonova.api.route import Role
from kilonova.objects.states import Verb


class NewState(Body):
    state: Literal["active", "error"]


class ResetState(Body):
    wanted: NewState = Field(alias="os-resetState")


async def reset_state(call: Call, body: ResetState) -> Reply:
    """An administrator's word on what the server is, when what is shown is wrong.  Nothing is done to the guest."""
    return await accept(call, Verb.RESET_STATE, {"state": body.wanted.state})


ROWS: Rows = {
    "os-resetState": (ActionRow(ResetState, reset_state, "os_compute_api:os-admin-actions:reset_state", Role.ADMIN),),
}
