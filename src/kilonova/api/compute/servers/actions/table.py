# SPDX-License-Identifier: Apache-2.0
"""POST /servers/{id}/action: the one key of the body names the action.

An accepted action is durable: the answer is sent when the action is on disk.
"""

from kilonova.api.compute.servers.actions import (
    admin,
    console,
    deferred_delete,
    evacuate,
    images,
    locks,
    moves,
    power,
    rebuild,
    rescue,
    resize,
    security_groups,
    shelve,
)
from kilonova.api.compute.servers.resource import find
from kilonova.api.http.actions import ActionRoutes, dispatch
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route

ACTIONS: ActionRoutes = {
    **power.ROUTES,
    **resize.ROUTES,
    **locks.ROUTES,
    **admin.ROUTES,
    **moves.ROUTES,
    **evacuate.ROUTES,
    **security_groups.ROUTES,
    **console.ROUTES,
    **rescue.ROUTES,
    **rebuild.ROUTES,
    **images.ROUTES,
    **shelve.ROUTES,
    **deferred_delete.ROUTES,
}


async def act(call: Call, data: bytes) -> Reply:
    """Run an action on a server."""
    return await dispatch(ACTIONS, call, data, find)


ROUTES = (
    Route("POST", "/servers/{server_id}/action", act, "os_compute_api:servers:action", DefaultPolicy.TOKEN, 202,
        note="by the action; each has its own policy", whole=True, actions=ACTIONS),
)  # fmt: skip
