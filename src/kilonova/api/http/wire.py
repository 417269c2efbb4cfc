# SPDX-License-Identifier: Apache-2.0
"""ASGI messages in and out: headers, the chunks of a body, the address that the client used, the answer."""

import re
from collections.abc import Mapping
from functools import partial
from urllib.parse import unquote

from starlette.types import Message, Receive, Scope, Send

from kilonova.api.http.call import Reply

WEBSOCKET_MESSAGE_BYTES = 64 * 1024
"""The largest message that a client may send on a websocket."""

LIVE = "kilonova.live"
"""In the scope of a request whose answer has no end of its own: a server that stops does not wait for it."""

AUTHORITY = re.compile(r"[A-Za-z0-9._~-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")


class ClientGone(Exception):
    """The client disconnected before its request was complete: there is no client to answer."""


class Chunks:
    """A request's body as it arrives.  Reading the first chunk sends 100-continue to a client that waits for it."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._ended = receive, False

    def __aiter__(self) -> "Chunks":
        return self

    async def __anext__(self) -> bytes:
        while not self._ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            self._ended = not message.get("more_body", False)
            if chunk := message.get("body", b""):
                return chunk
        raise StopAsyncIteration

    async def gone(self) -> None:
        """Wait until the client has disconnected."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def headers_of(scope: Scope) -> dict[str, str]:
    """Headers by lower-case name; several of one name are joined by commas, as HTTP allows."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def segments_of(scope: Scope) -> list[str]:
    """The path's segments, each decoded after the split: an escaped slash belongs to its segment."""
    raw: bytes | None = scope.get("raw_path")
    if raw is None:
        return scope["path"].split("/")[1:]
    text = raw.partition(b"?")[0].decode("latin-1")
    return [unquote(segment) if "%" in segment else segment for segment in text.split("/")[1:]]


def base_of(scope: Scope, headers: Mapping[str, str]) -> str:
    """Scheme, authority and prefix that the client used: from the headers of a proxy, or from the Host header.

    A value that is not an authority is ignored, because every link would contain it.
    """
    scheme = _first(headers.get("x-forwarded-proto")) or scope["scheme"]
    authority = _first(headers.get("x-forwarded-host")) or headers.get("host", "")
    if AUTHORITY.fullmatch(authority) is None:
        host, port = scope.get("server") or ("localhost", None)
        authority = f"{host}:{port}" if port else host
    prefix = _first(headers.get("x-forwarded-prefix"))
    if _PREFIX.fullmatch(prefix) is None:
        prefix = ""
    return f"{'https' if scheme == 'https' else 'http'}://{authority}{prefix.rstrip('/')}"


def _first(value: str | None) -> str:
    return (value or "").partition(",")[0].strip()


def start_of(status: int, reply: Reply, headers: list[tuple[str, str]]) -> Message:
    """The head of the answer.  It has a length, except for a 204 and a 304: an empty body has length 0, so that the
    client knows where the answer ends on a connection that stays open."""
    fields = headers
    if reply.live is not None:
        fields.append(("Content-Type", reply.content_type))
    elif reply.stream is None:
        if status not in (204, 304):
            fields.append(("Content-Length", str(len(reply.body))))
        if reply.body:
            fields.append(("Content-Type", reply.content_type))
    else:
        fields.append(("Content-Type", reply.content_type))
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (*fields, *reply.headers)]
    return {"type": "http.response.start", "status": status, "headers": raw}


async def send_reply(send: Send, start: Message, reply: Reply, *, head: bool) -> None:
    """The answer; `head` leaves the body out."""
    await send(start)
    if reply.live is not None and not head:
        await reply.live(partial(_send_piece, send))
        await send({"type": "http.response.body", "body": b""})
    elif reply.stream is not None and not head:
        async for piece in reply.stream:
            await _send_piece(send, piece)
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": b"" if head else reply.body})


async def _send_piece(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})
