# SPDX-License-Identifier: Apache-2.0
"""What an action is made of, a server's or another thing's, and how the body's one key finds it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kilonova.api.http.body import Body, json_object, validated_value
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import MAX, MIN, Microversion
from kilonova.api.http.route import Role
from kilonova.base.errors import InvalidInput


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


def row_of(rows: Rows, name: str, version: Microversion) -> ActionRow | None:
    """The row that serves an action at a microversion."""
    return next((row for row in rows.get(name, ()) if row.min <= version <= row.max), None)


async def dispatch(rows: Rows, call: Call, data: bytes, look: Callable[[Call], Awaitable[Any]] | None = None) -> Reply:
    """Find the row by the body's one key, and go by it.  `look` comes before an action that there is not is refused:
    who asks something of a thing that is not there hears that."""
    asked = json_object(data)
    name = next(iter(asked), "")
    row = row_of(rows, name, call.version)
    if len(asked) != 1:
        raise InvalidInput(f"Malformed request body: there is {'more than one' if asked else 'no'} action.")
    if row is None:
        if look is not None:
            await look(call)
        raise InvalidInput(f"There is no such action: {name[:64]}.", path=name[:64])
    call.permit(row.rule)
    call.deps.room.check(call.context, "POST", row.rule)
    reply = await row.handler(call, validated_value(row.body, asked, call.version))
    return reply if reply.status is not None else replace(reply, status=row.success)
