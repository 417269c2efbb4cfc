# SPDX-License-Identifier: Apache-2.0
"""What an action of a server is made of."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kilonova.api.body import Body
from kilonova.api.call import Call, Reply
from kilonova.api.compute.servers import find
from kilonova.api.microversion import MAX, MIN, Microversion
from kilonova.api.route import Role
from kilonova.objects.states import Verb


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One action: its body's model, its handler, its policy, the code that it is answered with."""

    body: type[Body]
    handler: Callable[[Call, Any], Awaitable[Reply]]
    rule: str
    role: Role = Role.MEMBER
    success: int = 202
    min: Microversion = MIN
    max: Microversion = MAX


Rows = Mapping[str, tuple[ActionRow, ...]]
"""By the action's key in the body; one of each tuple serves a microversion."""


async def accept(call: Call, verb: Verb, params: Mapping[str, str] | None = None) -> Reply:
    """Have it recorded; when this returns it is on disk.  Raises NotFound, InvalidState, Forbidden."""
    instance = await find(call)
    await call.deps.conductor.accept_action(call.context, instance.id, verb, params)
    return Reply()
