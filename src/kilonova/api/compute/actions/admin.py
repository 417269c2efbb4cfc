# SPDX-License-Identifier: Apache-2.0
"""What only an administrator does: reset state.  And migrate, which has nowhere to go on the one box."""

from typing import Any, Literal

from pydantic import Field

from kilonova.api.body import Body
from kilonova.api.call import Call, Reply
from kilonova.api.compute import servers
from kilonova.api.compute.actions.row import ActionRow, Rows, accept
from kilonova.api.route import Role
from kilonova.base.errors import InvalidInput, InvalidState
from kilonova.objects.states import VERBS, Verb


class NewState(Body):
    state: Literal["active", "error"]


class ResetState(Body):
    wanted: NewState = Field(alias="os-resetState")


async def reset_state(call: Call, body: ResetState) -> Reply:
    """An administrator's word on what the server is, when what is shown is wrong.  Nothing is done to the guest."""
    return await accept(call, Verb.RESET_STATE, {"state": body.wanted.state})


class Migrate(Body):
    wanted: Any = Field(alias="migrate")


async def migrate(call: Call, _body: Migrate) -> Reply:
    """404, 409 in a state that forbids it, and otherwise 400: a cold migration is a resize to another host."""
    instance = await servers.find(call)
    if instance.vm_state not in VERBS[Verb.RESIZE].allowed:
        raise InvalidState(
            f"Cannot 'migrate' instance {instance.id} while it is in vm_state {instance.vm_state}",
            vm_state=instance.vm_state,
        )
    raise InvalidInput("No valid host was found to migrate to: servers are not moved to other hosts here yet.")


ROWS: Rows = {
    "os-resetState": (ActionRow(ResetState, reset_state, "os_compute_api:os-admin-actions:reset_state", Role.ADMIN),),
    "migrate": (ActionRow(Migrate, migrate, "os_compute_api:os-migrate-server:migrate", Role.ADMIN),),
}
