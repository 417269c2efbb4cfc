# SPDX-License-Identifier: Apache-2.0
"""Record an action on the server that the URL names."""

from collections.abc import Mapping

from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Reply
from kilonova.objects.states import Verb


async def accept(call: Call, verb: Verb, params: Mapping[str, str] | None = None) -> Reply:
    """Record the action; it is on disk when this returns.  Raises NotFound, InvalidState, Forbidden."""
    instance = await find(call)
    await call.deps.conductor.accept_action(call.context, instance.id, verb, params)
    return Reply()
