# SPDX-License-Identifier: Apache-2.0
"""One connection to a NATS server: one client of nats-py, which never reconnects."""

import asyncio
import contextlib
import logging
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport

from kilonova.base.clock import Clock
from kilonova.base.errors import RpcUnavailable, TooLarge
from kilonova.rpc.nats_jwt import sign_nonce
from kilonova.rpc.reasons import NO_TLS, explain, is_lasting
from kilonova.rpc.transport_url import Entry

log = structlog.get_logger(__name__)

CONNECT_S = 2
PING_S = 2
PINGS_LOST = 2
SYNC_S = 2.0
LOOK_S = 1.0
CLOSE_S = 1.0
BACKLOG_BYTES = 32 << 20
"""The maximum number of bytes that wait for a slow server."""


EOF_NOTE = "returning true from eof_received() has no effect when using ssl"


def _is_wanted(record: logging.LogRecord) -> bool:
    """asyncio logs this line at each loss of a connection that nats-py upgraded to TLS.  The bus logs the loss."""
    return record.msg != EOF_NOTE


logging.getLogger("asyncio").addFilter(_is_wanted)


_DENIED = re.compile(r'permissions violation for publish to "([^"]+)"', re.IGNORECASE)


class _Joined(TcpTransport):
    """Writes the messages that wait as one: with TLS, each write is a record of its own, which costs time on both
    ends."""

    def writelines(self, payload: Iterable[bytes]) -> None:
        self.write(b"".join(payload))

    def __bool__(self) -> bool:
        return True  # a client replaces a transport that is false


class _Receiver(asyncio.Future[Msg]):
    """The future of a subscription, which passes each message on instead of becoming done.

    nats-py resolves the future of a subscription in the task that reads the socket.  A callback it runs in a task of
    the subscription, behind a queue.
    """

    def __init__(self, receive: Callable[[Msg], None]) -> None:
        super().__init__()
        self._receive = receive

    def set_result(self, result: Msg, /) -> None:
        self._receive(result)


class TlsClient(Client):
    """nats-py's client, with a method that drops the connection.  It uses TLS when the server wants it; with
    `require_tls` it sends nothing to a server (or to somebody between) that does not."""

    require_tls = False

    def __init__(self) -> None:
        super().__init__()
        self._transport = _Joined()

    def abort(self) -> None:
        """Close the socket at once: in an orderly close nats-py waits for a server that reads."""
        writer = self._writer()
        if writer is not None:
            writer.transport.abort()

    @property
    def version(self) -> str:
        """The version of the server."""
        return str(self._server_info.get("version", ""))

    @property
    def cluster(self) -> str:
        """The name of the server's cluster; empty for a single server."""
        return str(self._server_info.get("cluster", ""))

    def peer_certificate(self) -> Mapping[str, Any]:
        """The verified certificate of the server; empty without TLS."""
        writer = self._writer()
        secure: ssl.SSLObject | None = None if writer is None else writer.get_extra_info("ssl_object")
        return (None if secure is None else secure.getpeercert()) or {}

    def _writer(self) -> asyncio.StreamWriter | None:
        return getattr(self._transport, "_io_writer", None)

    def _connect_command(self) -> bytes:
        writer = self._writer()
        if self.require_tls and (writer is None or writer.get_extra_info("ssl_object") is None):
            raise nats.errors.Error(NO_TLS)
        return super()._connect_command()


class Connection:
    """One client for one connection.  `on_denied` receives the subject, in lower case, of a message that the server
    refused.  `entry_at` is when the credentials file of the entry was written."""

    def __init__(self, entry: Entry, name: str, clock: Clock, on_denied: Callable[[str], None]) -> None:
        self._entry, self._name, self._clock, self._on_denied = entry, name, clock, on_denied
        self.entry_at: int | None = None
        self.client = TlsClient()
        self.client.require_tls = entry.servers.use_tls
        self.subscriptions: list[Subscription] = []
        self.lasting = False
        self._reason = ""
        self._lost = asyncio.Event()
        self._reported: set[str] = set()

    @property
    def live(self) -> bool:
        return self.client.is_connected and not self._lost.is_set()

    @property
    def reason(self) -> str:
        """Why the connection was lost."""
        if not self._reason and self.client.last_error is not None:
            self._because(self.client.last_error)
        return self._reason or "closed by the server"

    @property
    def certificate_expires_at(self) -> datetime | None:
        """When the certificate of the server expires; None without TLS."""
        certificate = self.client.peer_certificate()
        text = certificate.get("notAfter")
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC) if isinstance(text, str) else None

    async def subscribe(self, subject: str, receive: Callable[[Msg], None], queue: str = "") -> Subscription:
        """Pass each message to `receive`, which must not raise.  Raises nats.errors.Error."""
        return await self.client.subscribe(subject, queue, future=_Receiver(receive))

    async def ask(self, subject: str, payload: bytes, inbox: str, timeout_s: float) -> bytes | None:
        """One request, for a process without a bus.  None: no reply; empty: no process serves the subject."""
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def on_reply(msg: Msg) -> None:
            if not reply.done():
                reply.set_result(b"" if msg.headers else msg.data)

        await self.subscribe(inbox, on_reply)
        await self.send(subject, payload, inbox)
        done, _ = await asyncio.wait({reply}, timeout=timeout_s)
        return reply.result() if done else None

    async def open(self) -> None:
        """Try each server once.  Raises any exception of nats-py."""
        servers, found = self._entry.servers, self._entry.credentials
        secrets: dict[str, Any] = {"user": servers.user, "password": servers.password, "token": servers.token}
        if found is not None:
            secrets = {
                "user_jwt_cb": partial(bytearray, found.jwt.encode()),
                "signature_cb": partial(sign_nonce, found.seed),
            }
        try:
            await self.client.connect(
                list(servers.addresses),
                name=self._name,
                tls=self._entry.tls,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=CONNECT_S,
                ping_interval=PING_S,
                max_outstanding_pings=PINGS_LOST,
                pending_size=0,  # publish never waits, and never fills a buffer for later
                flush_timeout=SYNC_S,
                error_cb=self._on_error,
                closed_cb=self._on_closed,
                **secrets,
            )
        except nats.errors.NoServersError as exc:  # _on_error received the error of the last server
            raise OSError(self.reason) from exc
        if not self.live:
            raise nats.errors.ConnectionClosedError

    async def look(self) -> None:
        """Wait until the connection is lost, LOOK_S at most: a client that closes towards a frozen server may never
        report it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._lost.wait()

    async def send(self, subject: str, payload: bytes, reply: str = "") -> None:
        """Write to the socket; does not wait.  Raises RpcUnavailable (not sent), TooLarge."""
        limit = self.client.max_payload
        if len(payload) > limit:
            raise TooLarge(f"A message of {len(payload)} bytes is over the bus's limit of {limit}.", limit=limit)
        if self.client.pending_data_size > BACKLOG_BYTES:
            raise RpcUnavailable(f"The bus is congested: {subject} was not sent.", subject=subject)
        try:
            await self.client.publish(subject, payload, reply)
        except nats.errors.Error as exc:
            raise RpcUnavailable(f"The bus did not take {subject}: {self.explain(exc)}.", subject=subject) from exc

    async def close(self) -> None:
        """Close the socket, within CLOSE_S."""
        if not self.live:
            self.client.abort()
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.client.close()
        except TimeoutError:
            log.debug("the connection to the bus could not be closed in time")
        except Exception as exc:  # the connection is not needed any more
            log.debug("the connection to the bus was not closed well", error=self.explain(exc))
        finally:
            self.client.abort()
            await asyncio.sleep(0)  # tasks that wait for the socket see its end

    def explain(self, exc: BaseException) -> str:
        """The exception in one sentence."""
        return explain(exc, self._entry.credentials, self._clock.now())

    def _because(self, exc: BaseException) -> None:
        self._reason = self.explain(exc)
        self.lasting = is_lasting(exc, self._reason)

    async def _on_closed(self) -> None:
        self._lost.set()

    async def _on_error(self, exc: Exception) -> None:
        """Handle the other reports of nats-py: the end of the stream, refused permissions, dropped messages."""
        if isinstance(exc, OSError | nats.errors.UnexpectedEOF):
            self._because(exc)
            if self.client.is_connected:
                self._lost.set()
            return
        text = self.explain(exc)
        if (denied := _DENIED.search(text)) is not None:
            self._on_denied(denied[1].lower())
        if text not in self._reported and self.client.is_connected:  # once per connection
            self._reported.add(text)
            log.warning("the bus refuses something", error=text)
        elif not self.client.is_connected:
            self._because(exc)
