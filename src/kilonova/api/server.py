# SPDX-License-Identifier: Apache-2.0
"""The HTTP server under the API: uvicorn, without its own signal handling."""

import contextlib
from collections.abc import Generator
from typing import Any

import uvicorn

GRACE_S = 5
"""Seconds that requests in flight get when the server stops."""


class Server(uvicorn.Server):
    """Signals belong to the process, which stops more than this server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def make_server(app: Any) -> Server:
    """A server of `app`; `serve(sockets=[...])` runs it until `should_exit` is set."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    return Server(config)
