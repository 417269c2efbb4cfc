# SPDX-License-Identifier: Apache-2.0
"""The websocket of a console: bytes of the guest in binary messages, in both directions (docs/consoles.md).

A client opens it with the token in its URL, once, and with the right of the user who received the token.  When that
right ends, the URL is refused and an open session ends.  A browser sends the origin of its page, and only the service's
own origin and those of [console] allowed_origins are accepted: a foreign page with the token must not be able to type
for its reader.
"""

import asyncio
import re
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog
from starlette.types import Receive, Scope, Send

from kilonova.api.consoles.access import ConsoleSession, open_session, right_ended
from kilonova.api.consoles.rfb_input import ViewerInput
from kilonova.api.http.call import JSON
from kilonova.api.http.deps import ApiDeps
from kilonova.api.http.edge import Edge
from kilonova.api.http.faults import answer, fault
from kilonova.base.clock import new_request_id
from kilonova.base.errors import Forbidden, InvalidInput, KilonovaError, NotFound
from kilonova.objects.console import ConsoleKind, ConsoleStream
from kilonova.objects.ids import InstanceId

log = structlog.get_logger(__name__)

PATH = "/console/{kind}/{server_id}"
_PATH = re.compile(r"/console/(serial|vnc)/([0-9a-f-]{36})")
SUBPROTOCOL = "binary"
SEND_LIMIT_S = 30.0
"""A client that receives nothing for so many seconds is disconnected."""
REASON_BYTES = 123
"""The largest reason of a close frame, in bytes."""

NORMAL, UNSUPPORTED, POLICY_VIOLATION, TRY_AGAIN_LATER = 1000, 1003, 1008, 1013
REFUSED = 4000
"""A browser shows its page neither the status nor the body of a refused handshake.  Therefore a browser's websocket is
accepted and closed with this plus the status."""


async def serve(scope: Scope, receive: Receive, send: Send, deps: ApiDeps, edge: Edge) -> None:
    """One websocket, from its handshake to its end.  A refusal is an HTTP answer with a fault, or a close frame for a
    page that may open consoles."""
    await receive()  # websocket.connect
    from_page = False
    try:
        kind, instance_id, from_page = _checked(scope, deps, edge)
        words = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=8)
        session = await open_session(deps, instance_id, kind, words.get("token", [""])[0])
    except Exception as exc:
        await _refuse(send, exc, new_request_id(deps.clock), as_close=from_page)
        return
    try:
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        code, reason = await _carry(session, receive, send, _lapse(deps, session))
        await send({"type": "websocket.close", "code": code, "reason": _short(reason)})
    except OSError as exc:  # the client disconnected while something was sent to it
        log.debug("a console's client disconnected", error=str(exc))
    finally:
        await session.stream.close()


def _checked(scope: Scope, deps: ApiDeps, edge: Edge) -> tuple[ConsoleKind, InstanceId, bool]:
    """The console of the path, and whether a page wants it.  Raises NotFound, Forbidden, InvalidInput."""
    headers = edge.headers(scope)
    edge.check_host(scope, headers)
    found = _PATH.fullmatch(scope["path"])
    if found is None:
        raise NotFound("The resource could not be found.")
    check_origin(edge.base({**scope, "scheme": _http(scope)}, headers), headers, deps.console.allowed_origins)
    if SUBPROTOCOL not in scope["subprotocols"]:
        raise InvalidInput(f"The client must offer the websocket subprotocol {SUBPROTOCOL}.")
    return ConsoleKind(found[1]), InstanceId(found[2]), "origin" in headers


async def _lapse(deps: ApiDeps, session: ConsoleSession) -> tuple[int, str]:
    return POLICY_VIOLATION, await right_ended(deps, session)


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


async def _refuse(send: Send, exc: Exception, request_id: str, *, as_close: bool) -> None:
    status, message, more = answer(exc, request_id)
    if as_close:
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        await send({"type": "websocket.close", "code": REFUSED + status, "reason": _short(message)})
        return
    headers = [("content-type", JSON), ("x-openstack-request-id", request_id), *more]
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "websocket.http.response.start", "status": status, "headers": raw})
    await send({"type": "websocket.http.response.body", "body": fault(status, message)})


async def _carry(
    session: ConsoleSession, receive: Receive, send: Send, lapse: Coroutine[Any, Any, tuple[int, str]]
) -> tuple[int, str]:
    """Copy in both directions until one side, or the right to the console, ends.  Returns the close code and its
    reason."""
    stream, passed = session.stream, _filter(session)
    async with asyncio.TaskGroup() as group:
        sides = [
            group.create_task(side) for side in (_to_client(stream, send), _to_guest(stream, receive, passed), lapse)
        ]
        done, pending = await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
    return next(side for side in sides if side in done).result()


def _filter(session: ConsoleSession) -> Callable[[bytes], bytes]:
    """Returns the part of a client's bytes that the guest may receive.  Raises InvalidInput."""
    if session.kind is ConsoleKind.VNC:
        return ViewerInput(view_only=session.view_only).take
    return (lambda _: b"") if session.view_only else (lambda data: data)


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


async def _to_guest(stream: ConsoleStream, receive: Receive, passed: Callable[[bytes], bytes]) -> tuple[int, str]:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return NORMAL, "The client disconnected."
        data = message.get("bytes")
        if data is None:
            return UNSUPPORTED, "Binary messages only."
        try:
            if wanted := passed(data):
                await stream.write(wanted)
        except InvalidInput as exc:
            return UNSUPPORTED, exc.message
        except KilonovaError as exc:
            return NORMAL, exc.message


def _short(reason: str) -> str:
    return reason.encode()[:REASON_BYTES].decode(errors="ignore")
