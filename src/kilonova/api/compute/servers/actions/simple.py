# SPDX-License-Identifier: Apache-2.0
"""Actions without parameters: the body is `{key: anything}`, clients send null."""

from typing import Any

from pydantic import Field, create_model

from kilonova.api.compute.servers.actions.accept import accept
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy
from kilonova.objects.states import Verb


def empty_body(key: str, name: str = "") -> type[Body]:
    """The model of a body without parameters.  `name` is its name in /openapi.json, if another model has the key's
    name."""
    stem = key.removeprefix("os-")
    return create_model(name or stem[0].upper() + stem[1:], __base__=Body, ignored=(Any, Field(alias=key)))


def simple(
    key: str, verb: Verb, rule: str, summary: str, default: DefaultPolicy = DefaultPolicy.MEMBER, success: int = 202
) -> ActionRoutes:
    """The route of an action that only records its verb."""

    async def handler(call: Call, _body: Body) -> Reply:
        return await accept(call, verb)

    handler.__doc__ = summary
    return {key: (ActionRoute(empty_body(key), handler, rule, default, success),)}
