# SPDX-License-Identifier: Apache-2.0
"""Record an action on the server in the URL."""

from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Reply
from kilonova.objects.action_params import NO_PARAMS, RequestedParams
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import ACCEPT_ACTION, AcceptAction


async def accept(call: Call, verb: Verb, params: RequestedParams = NO_PARAMS) -> Reply:
    """Record the action; when this returns, it is on disk.  Raises NotFound, InvalidState, Forbidden."""
    instance = await find(call)
    await call.deps.rpc.call(ACCEPT_ACTION, AcceptAction(call.context, instance.id, verb, params))
    return Reply()
