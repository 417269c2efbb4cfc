# SPDX-License-Identifier: Apache-2.0
"""The private status port of a process: `GET /healthz` and `GET /metrics`, and nothing else.

It is for the probes of an operator, on a loopback address or a unix socket, without authentication.  It is not a part
of the API and does not use its code.
"""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import structlog

from kilonova.base.errors import ConfigError
from kilonova.base.health import Verdict
from kilonova.base.metrics import CONTENT_TYPE

log = structlog.get_logger(__name__)

REQUEST_LIMIT_S = 5.0

Answer = tuple[HTTPStatus, str, bytes]


class StatusPages:
    """The pages of the port.  `health` runs the health checks; `metrics` returns the Prometheus text."""

    def __init__(
        self, health: Callable[[], Awaitable[Mapping[str, Verdict]]], metrics: Callable[[], Awaitable[bytes]]
    ) -> None:
        self._health, self._metrics = health, metrics

    async def get(self, path: str) -> Answer:
        """The health page: status 503 when a check fails; the body lists each check with its reason."""
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE, await self._metrics()
        if path != "/healthz":
            return HTTPStatus.NOT_FOUND, "text/plain", b"/healthz or /metrics\n"
        verdicts = await self._health()
        failing = [name for name, verdict in verdicts.items() if verdict.reason is not None]
        checks = {
            name: {"ok": v.reason is None, "reason": v.reason or "", "seconds": round(v.took_s, 4)}
            for name, v in verdicts.items()
        }
        body = json.dumps({"healthy": not failing, "failing": failing, "checks": checks}).encode() + b"\n"
        return (HTTPStatus.SERVICE_UNAVAILABLE if failing else HTTPStatus.OK), "application/json", body

    async def serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the one request of a connection."""
        try:
            async with asyncio.timeout(REQUEST_LIMIT_S):
                head = await reader.readuntil(b"\r\n\r\n")
            method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
            status, kind, body = await self.get(path.partition("?")[0])
            lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Type: {kind}"]
            lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
            writer.write("\r\n".join(lines).encode() + (b"" if method == "HEAD" else body))
            await writer.drain()
        except (TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # the client does not speak HTTP
        except Exception:
            log.exception("the status port could not answer")
        finally:
            writer.close()


def _bind(path: Path) -> socket.socket:
    """A unix socket that only its owner can use."""
    path.unlink(missing_ok=True)  # left by a process that was killed
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        end.bind(str(path))
        path.chmod(0o600)
    except OSError:
        end.close()
        raise
    return end


@asynccontextmanager
async def status_server(listen: str, pages: StatusPages) -> AsyncGenerator[None]:
    """Serve on `address:port`, or on a unix socket for a path; nowhere when empty.  Raises ConfigError."""
    if not listen:
        yield
        return
    try:
        if listen.startswith("/"):
            server = await asyncio.start_unix_server(pages.serve_one, sock=_bind(Path(listen)))
        else:
            address, _, port = listen.rpartition(":")
            server = await asyncio.start_server(pages.serve_one, address.strip("[]") or "127.0.0.1", int(port))
    except (OSError, ValueError) as exc:
        raise ConfigError(f"The status port {listen} cannot be opened: {exc}.") from exc
    try:
        yield
    finally:
        server.close()  # does not wait: a reply that hangs must not delay the end of the process
