# SPDX-License-Identifier: Apache-2.0
"""Accept connections.  Each one is counted before it costs anything, also before its TLS handshake."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

import structlog

from kilonova.api.http.connections import Connections, ConnectionSlot
from kilonova.api.http.faults import RETRY_AFTER_S, fault

log = structlog.get_logger(__name__)

AT_ONCE = 64
"""Connections that are accepted in a row before the event loop runs other tasks."""
HANDSHAKE_S = 10.0
SHUTDOWN_S = 5.0
PAUSE_S = 1.0
"""Seconds until the next attempt to accept when the system has no free descriptor."""

_BUSY = fault(503, "There are too many connections.")
_TURNED_AWAY = (
    f"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {len(_BUSY)}\r\n"
    f"retry-after: {RETRY_AFTER_S}\r\nconnection: close\r\n\r\n"
).encode() + _BUSY


class Acceptor:
    """Accepts on one listening socket.  `tls` is called for each connection, so that a renewed certificate is used from
    the next connection on; None means plain HTTP."""

    def __init__(
        self,
        listener: socket.socket,
        connections: Connections,
        open_on: Callable[[ConnectionSlot], asyncio.Protocol],
        tls: Callable[[], ssl.SSLContext | None],
    ) -> None:
        self._listener, self._connections, self._open_on, self._tls = listener, connections, open_on, tls
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._short_of_descriptors = False
        self._closed = False

    def start(self) -> None:
        """Start to accept."""
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Stop accepting; open connections stay open."""
        self._closed = True
        self._loop.remove_reader(self._listener.fileno())
        for task in self._opening:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until no handshake is in progress."""
        if self._opening:
            await asyncio.wait(self._opening)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                peer, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except (
                OSError
            ) as exc:  # no descriptor, no memory: the listener stays readable, so a retry would come at once
                self._pause(exc)
                return
            self._short_of_descriptors = False
            peer.setblocking(False)
            slot = self._connections.admit(address[0])
            if slot is None:
                self._turn_away(peer)
                continue
            task = self._loop.create_task(self._open(peer, slot))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, peer: socket.socket, slot: ConnectionSlot) -> None:
        tls = self._tls()
        limits = {} if tls is None else {"ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": SHUTDOWN_S}
        try:
            await self._loop.connect_accepted_socket(lambda: self._open_on(slot), peer, ssl=tls, **limits)
        except BaseException as exc:
            slot.release()
            peer.close()
            if not isinstance(exc, OSError | TimeoutError):  # a client without TLS, or a client that disconnected
                raise
            log.debug("a connection was not opened", peer=slot.peer, error=str(exc) or type(exc).__name__)

    def _turn_away(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            if self._tls() is None:
                peer.send(_TURNED_AWAY)

    def _pause(self, exc: OSError) -> None:
        if not self._short_of_descriptors:
            self._short_of_descriptors = True
            log.error("no connection can be accepted", error=exc.strerror)
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(PAUSE_S, self._resume)

    def _resume(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listener.fileno(), self._accept)
