# SPDX-License-Identifier: Apache-2.0
"""Actions: routes that are chosen by the one key of the request's body (of a server, a flavor, an aggregate)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kilonova.api.http.body import Body, json_object, validated_value
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import MAX, MIN, Microversion
from kilonova.api.http.route import DefaultPolicy
from kilonova.api.http.views import View
from kilonova.base.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class ActionRoute:
    """One action: the model of its body, its handler, its policy, its success code and the view of its answer."""

    body: type[Body]
    handler: Callable[[Call, Any], Awaitable[Reply]]
    rule: str
    default: DefaultPolicy = DefaultPolicy.MEMBER
    success: int = 202
    reply: View[Any, Any] | None = None
    min: Microversion = MIN
    max: Microversion = MAX


ActionRoutes = Mapping[str, tuple[ActionRoute, ...]]
"""The actions by their key in the body.  At most one of each tuple serves a microversion."""


def route_of(routes: ActionRoutes, name: str, version: Microversion) -> ActionRoute | None:
    """The route that serves an action at a microversion."""
    return next((route for route in routes.get(name, ()) if route.min <= version <= route.max), None)


async def dispatch(
    routes: ActionRoutes, call: Call, data: bytes, find: Callable[[Call], Awaitable[Any]] | None = None
) -> Reply:
    """Choose the route by the body's one key, check its policy, and call its handler.

    `find` looks the resource up before an unknown action is refused: an unknown action on a missing resource is a 404,
    not a 400.
    """
    request = json_object(data)
    name = next(iter(request), "")
    route = route_of(routes, name, call.version)
    if len(request) != 1:
        raise InvalidInput(f"Malformed request body: there is {'more than one' if request else 'no'} action.")
    if route is None:
        if find is not None:
            await find(call)
        raise InvalidInput(f"There is no such action: {name[:64]}.", path=name[:64])
    call.permit(route.rule)
    call.deps.disk_space.check(call.context, "POST", route.rule)
    reply = await route.handler(call, validated_value(route.body, request, call.version))
    return reply if reply.status is not None else replace(reply, status=route.success)
