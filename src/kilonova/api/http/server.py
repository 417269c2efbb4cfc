# SPDX-License-Identifier: Apache-2.0
"""The HTTP server of the API: uvicorn with additional limits (docs/adr/0013) and without its signal handling."""

import asyncio
import contextlib
import logging
import resource
import socket
import ssl
from collections.abc import Generator
from typing import Any

import structlog
import uvicorn

from kilonova.api.http.acceptor import Acceptor
from kilonova.api.http.connections import Connections, ConnectionSlot, networks
from kilonova.api.http.http_protocol import HttpConnection, Limits
from kilonova.api.http.wire import WEBSOCKET_MESSAGE_BYTES
from kilonova.config.api import ApiSettings

GRACE_S = 5
"""Seconds that requests in flight get when the server stops."""

IDLE_S = 75
"""Seconds that a connection stays open for the client's next request.  Longer than the 2 or 5 seconds that OpenStack
clients pause between polls: a connection that closes at the moment of a poll makes them report a failure."""

TICK_S = 1.0

RESERVED_DESCRIPTORS = 256
"""Reserved for the database, images, the hypervisor's sockets and other files of the process."""

log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """Does not handle signals: the process does, because it stops other parts, too.  `tls` can be replaced."""

    def __init__(self, config: uvicorn.Config, settings: ApiSettings, tls: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self.tls = tls
        self._limits = Limits(settings.max_head_bytes, settings.head_timeout, settings.body_timeout)
        self._connections = Connections(
            affordable(settings.max_connections),
            settings.max_connections_per_peer,
            networks(settings.trusted_proxies),
        )
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """End `serve`, with GRACE_S seconds for requests in flight."""
        self.should_exit = True
        self._stop.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept on these sockets."""
        acceptors = [Acceptor(one, self._connections, self._connection, lambda: self.tls) for one in sockets or ()]
        for acceptor in acceptors:
            acceptor.start()
        self.servers: list[Any] = [*acceptors]
        self.started = True

    async def main_loop(self) -> None:
        """Refresh the Date header and check the limits of connections once a second.

        uvicorn's own loop wakes ten times as often, which is most of the cost of an idle process (measured: 0.125
        against 0.048 CPU seconds a minute).
        """
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._stop.wait()
            for connection in list[Any](self.server_state.connections):
                connection.tick(TICK_S)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    def _connection(self, slot: ConnectionSlot) -> HttpConnection:
        return HttpConnection(self.config, self.server_state, self._limits, slot)


def affordable(wanted: int) -> int:
    """The number of connections that the descriptors allow, without the reserved ones.  Raises the limit of the process
    as far as permitted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVED_DESCRIPTORS
    if soft < needed and (hard == resource.RLIM_INFINITY or soft < hard):
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft >= needed:
        return wanted
    found = max(soft - RESERVED_DESCRIPTORS, soft // 2)
    log.warning(
        "fewer connections than configured: descriptors are short", wanted=wanted, connections=found, limit=soft
    )
    return found


def _websocket(**given: Any) -> asyncio.Protocol:
    """Imported when the first websocket opens, because the import is slow."""
    from kilonova.api.http.websocket_protocol import WebsocketConnection

    return WebsocketConnection(**given)


_NO_NEWS = ("without completing handshake", "Unsupported upgrade", "No supported WebSocket")
"""Messages of uvicorn that are not logged: each refused websocket, and what a client can cause at will."""


def _worth_a_line(record: logging.LogRecord) -> bool:
    return not any(words in str(record.msg) for words in _NO_NEWS)


def make_server(app: Any, settings: ApiSettings, tls: ssl.SSLContext | None = None) -> Server:
    """A server of `app`; `serve(sockets=[...])` runs it until `stop`."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws=_websocket,  # pyright: ignore[reportArgumentType] - anything that makes a protocol will do
        ws_max_size=WEBSOCKET_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=IDLE_S,
    )
    logger = logging.getLogger("uvicorn.error")
    logger.setLevel(logging.WARNING)  # below WARNING it logs whole URLs, and the URL of a console contains its token
    logger.addFilter(_worth_a_line)
    logging.getLogger("uvicorn.access").setLevel(logging.CRITICAL)  # its lines have whole URLs
    return Server(config, settings, tls)
