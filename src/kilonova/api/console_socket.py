# SPDX-License-Identifier: Apache-2.0
"""The websocket of a serial console: bytes of the guest in binary messages, in both directions.

A client opens it with the token in its URL, once, and with the right of the user who received the token.  When that
right ends, the URL is refused and an open session ends.  A browser sends the origin of its page, and only the service's
own origin and those of [console] allowed_origins are accepted: a foreign page with the token must not be able to type
for its reader.
"""

import asyncio
from collections.abc import Collection, Coroutine, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog
from starlette.types import Receive, Scope, Send

from kilonova.api.http.bearer import context_of
from kilonova.api.http.call import JSON
from kilonova.api.http.deps import ApiDeps
from kilonova.api.http.edge import Edge
from kilonova.api.http.faults import answer, fault
from kilonova.base.clock import new_request_id
from kilonova.base.errors import (
    Forbidden,
    InvalidInput,
    InvalidState,
    KilonovaError,
    NotFound,
    NotSupported,
    Unauthorized,
)
from kilonova.db.readers import instances
from kilonova.identity.console_tokens import Grant
from kilonova.objects.console import ConsoleStream
from kilonova.objects.instance import Instance

log = structlog.get_logger(__name__)

PATH = "/serial-console"
SUBPROTOCOL = "binary"
SEND_LIMIT_S = 30.0
"""A client that receives nothing for so many seconds is disconnected."""
REASON_BYTES = 123
"""The largest reason of a close frame, in bytes."""

NORMAL, UNSUPPORTED, POLICY_VIOLATION, TRY_AGAIN_LATER = 1000, 1003, 1008, 1013

RULE = "os_compute_api:os-remote-consoles"


async def serve(scope: Scope, receive: Receive, send: Send, deps: ApiDeps, edge: Edge) -> None:
    """One websocket, from its handshake to its end.  A refusal is an HTTP answer with a fault."""
    await receive()  # websocket.connect
    try:
        grant = await _granted(scope, deps, edge)
        stream = await _open(grant, deps)
    except Exception as exc:
        await _refuse(send, exc, new_request_id(deps.clock))
        return
    try:
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        code, reason = await _carry(stream, receive, send, _lapse(grant, deps))
        await send({"type": "websocket.close", "code": code, "reason": _short(reason)})
    except OSError as exc:  # the client disconnected while something was sent to it
        log.debug("a console's client disconnected", error=str(exc))
    finally:
        await stream.close()


async def _granted(scope: Scope, deps: ApiDeps, edge: Edge) -> Grant:
    headers = edge.headers(scope)
    edge.check_host(scope, headers)
    if scope["path"] != PATH:
        raise NotFound("The resource could not be found.")
    check_origin(edge.base({**scope, "scheme": _http(scope)}, headers), headers, deps.console.allowed_origins)
    if SUBPROTOCOL not in scope["subprotocols"]:
        raise InvalidInput(f"The client must offer the websocket subprotocol {SUBPROTOCOL}.")
    words = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=8)
    return deps.console_tokens.redeem(words.get("token", [""])[0])


async def _open(grant: Grant, deps: ApiDeps) -> ConsoleStream:
    instance = await _permitted(grant, deps)
    if instance.host is None:
        raise InvalidState(f"Instance {instance.id} has no host: it has no console now.")
    if deps.consoles is None:
        raise NotSupported("Interactive consoles are not available in a fleet.")
    stream = await deps.consoles.open(instance.host, instance.id)
    log.info("a console was opened", instance=instance.id)
    return stream


async def _permitted(grant: Grant, deps: ApiDeps) -> Instance:
    """The server, if the user of the URL's token may still use its console.  Raises Unauthorized, Forbidden,
    NotFound."""
    context = await context_of(deps, grant.claims, "")
    deps.policy.permit(RULE, context, {})
    scope = None if context.is_admin else context.project_id
    return await deps.db.read(instances.get, grant.instance_id, scope)


async def _lapse(grant: Grant, deps: ApiDeps) -> tuple[int, str]:
    """Return when that right has ended.  While the database is not available, the session continues."""
    while True:
        await deps.token_revalidation.changed()
        try:
            await _permitted(grant, deps)
        except (Unauthorized, Forbidden, NotFound):
            return POLICY_VIOLATION, "The right to use this console has ended."
        except KilonovaError as exc:
            log.debug("it is not known whether a console may still be used", error=exc.message)


def _http(scope: Scope) -> str:
    return "https" if scope["scheme"] == "wss" else "http"


def check_origin(base: str, headers: Mapping[str, str], allowed: Collection[str]) -> None:
    """Raises Forbidden if the page has another origin than the address that the client used, unless the origin's host
    name is in `allowed` and its scheme is the service's.  Programs other than browsers send no origin."""
    origin = headers.get("origin")
    if origin is None:
        return
    ours = urlsplit(base)
    if origin.lower() != f"{ours.scheme}://{ours.netloc}".lower() and not _is_allowed(origin, ours.scheme, allowed):
        raise Forbidden("Only pages of this service, and of its allowed origins, can open a console.")


def _is_allowed(origin: str, scheme: str, allowed: Collection[str]) -> bool:
    try:
        place = urlsplit(origin)
        return place.scheme == scheme and place.hostname in allowed
    except ValueError:  # no URL at all
        return False


async def _refuse(send: Send, exc: Exception, request_id: str) -> None:
    status, message, more = answer(exc, request_id)
    headers = [("content-type", JSON), ("x-openstack-request-id", request_id), *more]
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "websocket.http.response.start", "status": status, "headers": raw})
    await send({"type": "websocket.http.response.body", "body": fault(status, message)})


async def _carry(
    stream: ConsoleStream, receive: Receive, send: Send, lapse: Coroutine[Any, Any, tuple[int, str]]
) -> tuple[int, str]:
    """Copy in both directions until one side, or the right to the console, ends.  Returns the close code and its
    reason."""
    async with asyncio.TaskGroup() as group:
        sides = [group.create_task(side) for side in (_to_client(stream, send), _to_guest(stream, receive), lapse)]
        done, pending = await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
    return next(side for side in sides if side in done).result()


async def _to_client(stream: ConsoleStream, send: Send) -> tuple[int, str]:
    while data := await stream.read():
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                await send({"type": "websocket.send", "bytes": data})
        except TimeoutError:
            return TRY_AGAIN_LATER, "The client receives nothing."
        except OSError:
            return NORMAL, "The client disconnected."
    return NORMAL, stream.ended


async def _to_guest(stream: ConsoleStream, receive: Receive) -> tuple[int, str]:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return NORMAL, "The client disconnected."
        data = message.get("bytes")
        if data is None:
            return UNSUPPORTED, "Binary messages only."
        try:
            await stream.write(data)
        except KilonovaError as exc:
            return NORMAL, exc.message


def _short(reason: str) -> str:
    return reason.encode()[:REASON_BYTES].decode(errors="ignore")
