# SPDX-License-Identifier: Apache-2.0
"""POST /servers/{id}/action: one key says which.

What is accepted is durable: the answer comes when the action is on disk.
"""

from dataclasses import replace

from kilonova.api.body import json_object, validated_value
from kilonova.api.call import Call, Reply
from kilonova.api.compute.actions import (
    admin,
    console,
    deferred_delete,
    images,
    locks,
    power,
    rebuild,
    rescue,
    resize,
    shelve,
)
from kilonova.api.compute.actions.row import ActionRow, Rows
from kilonova.api.compute.servers import find
from kilonova.api.microversion import Microversion
from kilonova.base.errors import InvalidInput

ACTIONS: Rows = {
    **power.ROWS,
    **resize.ROWS,
    **locks.ROWS,
    **admin.ROWS,
    **console.ROWS,
    **rescue.ROWS,
    **rebuild.ROWS,
    **images.ROWS,
    **shelve.ROWS,
    **deferred_delete.ROWS,
}


def row_of(name: str, version: Microversion) -> ActionRow | None:
    """The row that serves an action at a microversion."""
    return next((row for row in ACTIONS.get(name, ()) if row.min <= version <= row.max), None)


async def act(call: Call, data: bytes) -> Reply:
    """Find the row by the body's one key, and go by it."""
    asked = json_object(data)
    name = next(iter(asked), "")
    row = row_of(name, call.version)
    if len(asked) != 1:
        raise InvalidInput(f"Malformed request body: there is {'more than one' if asked else 'no'} action.")
    if row is None:
        await find(call)  # who asks something of a server that is not there hears that first
        raise InvalidInput(f"There is no such action: {name[:64]}.", path=name[:64])
    call.permit(row.rule)
    reply = await row.handler(call, validated_value(row.body, asked, call.version))
    return reply if reply.status is not None else replace(reply, status=row.success)
