# SPDX-License-Identifier: Apache-2.0
"""uvicorn's HTTP/1.1 connection with limits: how large a head may be, and how long the client may take.

uvicorn bounds neither (its head limit is of h11 only), and its one timer runs between requests.  All limits of time are
counted by `tick`, which the server calls each second: requests themselves set no timer.  Time counts only while the
server waits for the client.
"""

import asyncio
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from kilonova.api.http.connections import ConnectionSlot
from kilonova.api.http.faults import fault
from kilonova.api.http.wire import LIVE

LINGER_S = 2.0
LINGER_BYTES = 1 << 20
"""Bytes of a refused request that are still read and dropped: closing a connection with unread bytes resets it, and the
client may not see the answer."""
CLOSING_S = 10.0
WRITE_S = 60.0
"""A client that reads nothing of its answer for so many seconds is disconnected."""
SLOWEST = 500
"""Bytes a second: a slower body uses up the time that it may pause, as in Apache's mod_reqtimeout."""


class _Phase(Enum):
    """The phase of what the client sends."""

    HEAD = "the head of a request, or nothing before the first request"
    BODY = "its body"
    BETWEEN = "nothing: a request is being served, or the next one has not begun"
    REFUSED = "the discarded rest of a refused request"
    UPGRADED = "data of another protocol"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes and seconds; see [api] of the configuration."""

    head_bytes: int
    head_s: float
    body_s: float


class HttpConnection(HttpToolsProtocol):
    """One connection in its slot."""

    def __init__(self, config: Config, state: ServerState, limits: Limits, slot: ConnectionSlot) -> None:
        super().__init__(config, state, {}, asyncio.get_running_loop())
        self._limits, self._slot = limits, slot
        self._phase = _Phase.HEAD
        self._head_bytes = self._raw_bytes = self._body_bytes = 0
        self._waited = self._closing = self._stalled = 0.0
        self._patience = limits.body_s
        self._buffered = 0
        slot.connection = self

    def is_idle(self) -> bool:
        """Whether it serves no request and sends no answer."""
        return self._phase is not _Phase.BODY and self._is_answered()

    def drop(self) -> None:
        """End it at once."""
        self.transport.abort()

    def shutdown(self) -> None:
        """The server stops: end an answer that has no end of its own, and let others end."""
        super().shutdown()
        cycle = self._served()
        if cycle is not None and not cycle.response_complete and cycle.scope.get(LIVE):
            cycle.disconnected = True
            cycle.message_event.set()
            self.transport.write(b"0\r\n\r\n")  # the last chunk: the client sees an end, and no broken connection
            self.transport.close()

    def tick(self, seconds: float) -> None:
        """Called when so many seconds have passed."""
        if self._phase is _Phase.UPGRADED:
            return
        if self.transport.is_closing():
            self._closing += seconds
            if self._closing > CLOSING_S:
                self.transport.abort()
            return
        self._watch_writing(seconds)
        if self._phase is _Phase.REFUSED:
            self._waited += seconds
            if self._waited > LINGER_S:
                self.transport.close()
        elif self._phase is not _Phase.BETWEEN and not self.flow.read_paused:
            self._watch_reading(seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._slot.release()

    def eof_received(self) -> None:
        if self._phase is _Phase.REFUSED:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self._phase is _Phase.REFUSED:
            self._head_bytes += len(data)
            if self._head_bytes > LINGER_BYTES:
                self.transport.abort()
            return
        if self._phase is _Phase.BETWEEN:
            self._begin_head()
        # At most the allowed size of a head at a time: other limits apply to the body.
        while self._phase is _Phase.HEAD and self._head_bytes + len(data) > self._limits.head_bytes:
            left = self._limits.head_bytes - self._head_bytes
            piece, data = data[:left], data[left:]
            self._feed(piece)
            if self._phase is _Phase.HEAD and self._head_bytes >= self._limits.head_bytes:
                self._refuse(431, f"The head of a request may have {self._limits.head_bytes} bytes.")
                return
        if data:
            self._feed(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._phase is not _Phase.HEAD:  # behind another request
            self._begin_head()

    def on_headers_complete(self) -> None:
        self._phase = _Phase.BODY
        self._raw_bytes = self._body_bytes = 0
        self._patience = self._limits.body_s
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._phase = _Phase.BETWEEN
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._phase = _Phase.UPGRADED
        super().handle_websocket_upgrade()
        websocket: Any = self.transport.get_protocol()
        websocket.slot, self._slot.connection = self._slot, websocket

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def _feed(self, data: bytes) -> None:
        """Feed the parser; chunk extensions and trailers may not be larger than the body."""
        if self._phase is _Phase.HEAD:
            self._head_bytes += len(data)
            super().data_received(data)
            return
        self._raw_bytes += len(data)
        self._patience = min(self._limits.body_s, self._patience + len(data) / SLOWEST)
        super().data_received(data)
        if self._phase is _Phase.BODY and self._raw_bytes > self._limits.head_bytes + 8 * self._body_bytes:
            self._refuse(400, "The request's body is nearly all frame.")

    def _begin_head(self) -> None:
        self._phase = _Phase.HEAD
        self._head_bytes = 0
        self._waited = 0.0

    def _is_answered(self) -> bool:
        cycle = self._served()
        return (cycle is None or cycle.response_complete) and not self.pipeline

    def _served(self) -> RequestResponseCycle | None:
        """The newest request; None before the first.  (uvicorn's type says otherwise.)"""
        cycle: Any = self.cycle
        return cycle

    def _watch_writing(self, seconds: float) -> None:
        buffered = self.transport.get_write_buffer_size()
        self._stalled = self._stalled + seconds if buffered and buffered == self._buffered else 0.0
        self._buffered = buffered
        if self._stalled > WRITE_S:
            self.transport.abort()

    def _watch_reading(self, seconds: float) -> None:
        if self._phase is _Phase.HEAD:
            self._waited += seconds
            if self._waited > self._limits.head_s:
                self._refuse(408, "The head of the request took too long.")
        elif (cycle := self._served()) is None or not cycle.waiting_for_100_continue:
            self._patience -= seconds
            if self._patience < 0:
                self._refuse(408, "The body of the request came too slowly.")

    def _refuse(self, status: int, message: str) -> None:
        """Answer, unless another answer has begun, and read no more."""
        cycle = self._served()
        begun = cycle is not None and cycle.response_started and not cycle.response_complete
        silent = begun or bool(self.pipeline) or (status == 408 and self._head_bytes == 0)
        self._phase, self._waited, self._head_bytes = _Phase.REFUSED, 0.0, 0
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if silent:
            self.transport.close()
            return
        body = fault(status, message)
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "content-type: application/json"]
        lines += [f"content-length: {len(body)}", "connection: close", "", ""]
        self.transport.write("\r\n".join(lines).encode() + body)
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
