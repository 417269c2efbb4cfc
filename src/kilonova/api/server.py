# SPDX-License-Identifier: Apache-2.0
"""The HTTP server under the API: uvicorn, without its own signal handling."""

import asyncio
import contextlib
import logging
from collections.abc import Generator
from typing import Any

import uvicorn

from kilonova.api.console_socket import MOST_BYTES

GRACE_S = 5
"""Seconds that requests in flight get when the server stops."""

IDLE_S = 75
"""Seconds that a connection is kept for its client's next request.  Longer than clients pause between polls, which
openstack's do for 2 or 5: a connection that ends just as it is used is, to them, a failure of what they wait for."""

TICK_S = 1.0


class Server(uvicorn.Server):
    """Signals belong to the process, which stops more than this server."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """End `serve`, with GRACE_S seconds for requests in flight."""
        self.should_exit = True
        self._stop.set()

    async def main_loop(self) -> None:
        """Refresh the Date header once a second.  uvicorn's own loop wakes ten times as often to look whether it should
        exit, which is most of what an idle box costs (measured: 0.125 against 0.048 CPU seconds a minute)."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._stop.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _websocket(**given: Any) -> asyncio.Protocol:
    """Imported when the first websocket is opened: it is a good part of a start."""
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    return WebSocketsSansIOProtocol(**given)


def _worth_a_line(record: logging.LogRecord) -> bool:
    """uvicorn takes a websocket that was refused with an answer for one that was forgotten."""
    return "without completing handshake" not in record.msg


def make_server(app: Any) -> Server:
    """A server of `app`; `serve(sockets=[...])` runs it until `stop`."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws=_websocket,  # pyright: ignore[reportArgumentType] - anything that makes a protocol will do
        ws_max_size=MOST_BYTES,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=IDLE_S,
    )
    log = logging.getLogger("uvicorn.error")
    log.setLevel(logging.WARNING)  # below it writes whole URLs, and a console's URL bears its token
    log.addFilter(_worth_a_line)
    return Server(config)
