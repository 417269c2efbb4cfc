# SPDX-License-Identifier: Apache-2.0
"""Every successful answer that a service test receives fits the schema that /openapi.json gives for it.

`check` is a hook of the tests' HTTP client, so that no test has to ask for it.
"""

import json
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import httpx
import jsonschema_rs

from kilonova.api.http.call import JSON
from kilonova.api.http.microversion import HEADER, OLD_HEADER, Microversion, negotiate
from kilonova.api.http.reply_schemas import ReplySchemas
from kilonova.api.http.route import Route, Router, Service
from kilonova.api.http.views import View
from kilonova.api.routes import SERVICES

_ROUTERS = {service.prefix: (service, Router(service.routes)) for service in SERVICES}

MAY_BE_EMPTY = frozenset({"createBackup"})
"""Actions whose answer has a body or none: a backup with a rotation of 0 leaves no image to name."""


async def check(response: httpx.Response) -> None:
    """Raises AssertionError for a successful answer that its route does not declare."""
    request = response.request
    if response.status_code >= 400 or request.method == "HEAD" or request.url.path.startswith("/ui"):
        return  # the page's own routes are in no document
    if response.status_code == 303:
        return  # a browser is sent to the page
    found = _route_of(request)
    if found is None:
        return
    route, version = found
    await response.aread()
    where = f"{request.method} {request.url.raw_path.decode()} at {version}"
    view, may_be_empty = _declared(route, request, version)
    if route.gives != JSON or (may_be_empty and not response.content):
        return
    check_body(where, response.content, None if response.status_code == 204 else view, version)


def check_body(where: str, content: bytes, view: View[Any, Any] | None, version: Microversion) -> None:
    """Raises AssertionError for a body that does not fit the view; None: there is none."""
    if view is None or not view.is_in(version):
        assert not content, f"{where} has a body that its route does not declare: {content[:200]!r}"
        return
    assert content, f"{where} lacks the body that its route declares"
    errors = _validator(view, version).iter_errors(json.loads(content))
    wrong = [f"{error.instance_path}: {error.message}" for error in errors]
    assert not wrong, f"{where} does not fit its schema: {wrong[:3]}"


def _route_of(request: httpx.Request) -> tuple[Route, Microversion] | None:
    path = request.url.raw_path.partition(b"?")[0].decode().rstrip("/")
    for length in (2, 1, 0):
        segments = [unquote(segment) for segment in path.split("/")[1:]]
        mount: tuple[Service, Router] | None = _ROUTERS.get("".join(f"/{one}" for one in segments[:length]))
        if mount is not None:
            service, router = mount
            header, old = request.headers.get(HEADER), request.headers.get(OLD_HEADER)
            version = negotiate(header, old).version if service.microversions else negotiate(None, None).version
            return router.find(request.method, segments[length:], version)[0], version
    return None


def _declared(route: Route, request: httpx.Request, version: Microversion) -> tuple[View[Any, Any] | None, bool]:
    if not route.actions:
        return route.reply, False
    name = next(iter(json.loads(request.content)))
    one = next(one for one in route.actions[name] if one.min <= version <= one.max)
    return one.reply, name in MAY_BE_EMPTY


@lru_cache(maxsize=1024)
def _validator(view: View[Any, Any], version: Microversion) -> jsonschema_rs.Draft202012Validator:
    replies = ReplySchemas(version)
    schema = replies.of(view)
    return jsonschema_rs.Draft202012Validator({**schema, "components": {"schemas": replies.schemas}})
