# SPDX-License-Identifier: Apache-2.0
"""The bus of a fleet: one process's connection to a NATS server or cluster.

nats-py transports the bytes; this module controls reconnects and queues.  Each nats-py client serves one connection and
never reconnects by itself (its own reconnect stops for good at some errors, and stores messages for later).  The bus
creates a new client after each loss, without a limit, with backoff.  Without a connection no message is stored.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from kilonova.base.backoff import Backoff
from kilonova.base.clock import Clock
from kilonova.base.errors import KilonovaError, RpcTimeout, RpcUnavailable, TooLarge
from kilonova.base.tasks import Supervisor
from kilonova.rpc import wire
from kilonova.rpc.bus import Handler, token
from kilonova.rpc.transport_url import Servers, parse_url

log = structlog.get_logger(__name__)

CONNECT_S = 2
FIRST_S = 1.0
OPEN_S = 10.0
"""The time limit of a complete opening: every server of the list, and the subscriptions."""
PING_S = 2
PINGS_LOST = 2
FLUSH_S = 10
"""Longer than pings need to detect a dead connection: nats-py fails when a pong arrives for a flush that timed out."""
SYNC_S = 2.0
LOOK_S = 1.0
CLOSE_S = 1.0
DRAIN_S = 5.0
RETRY = Backoff(0.1, 5.0, jitter=(0.5, 1.0))
STEADY_S = 5.0
"""After a connection of this duration the backoff starts again at its minimum."""
BACKLOG_BYTES = 32 << 20
"""The maximum number of bytes that wait for a slow server."""
NO_RESPONDERS = "503"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A subscription that is created again on every connection."""

    subject: str
    handler: Handler
    queue: str


class _Client(Client):
    """nats-py's client, with a method that drops the connection."""

    def abort(self) -> None:
        """Close the socket at once: in an orderly close nats-py waits for a server that reads."""
        writer: asyncio.StreamWriter | None = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()


class _Connection:
    """One client for one connection."""

    def __init__(self, servers: Servers, name: str) -> None:
        self._servers, self._name = servers, name
        self.client = _Client()
        self.subscriptions: list[Subscription] = []
        self.reason = ""
        self._lost = asyncio.Event()
        self._reported: set[str] = set()

    @property
    def live(self) -> bool:
        return self.client.is_connected and not self._lost.is_set()

    async def open(self) -> None:
        """Try each server once.  Raises any exception of nats-py."""
        try:
            await self.client.connect(
                list(self._servers.addresses),
                name=self._name,
                user=self._servers.user,
                password=self._servers.password,
                token=self._servers.token,
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
            )
        except nats.errors.NoServersError as exc:  # _on_error received the error of the last server
            raise OSError(self.reason) from exc
        if not self.live:
            raise nats.errors.ConnectionClosedError

    async def until_lost(self) -> None:
        """Wait until the connection is lost.  It also polls: a client that closes towards a frozen server may never
        report it."""
        while self.live:
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
            raise RpcUnavailable(f"The bus did not take {subject}: {_explain(exc)}.", subject=subject) from exc

    async def close(self) -> None:
        """Close the socket, within CLOSE_S."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.client.close()
        except TimeoutError:
            log.debug("the connection to the bus could not be closed in time")
        except Exception as exc:  # the connection is not needed any more
            log.debug("the connection to the bus was not closed well", error=_explain(exc))
        finally:
            self.client.abort()
            await asyncio.sleep(0)  # tasks that wait for the socket see its end

    async def _on_closed(self) -> None:
        self._lost.set()

    async def _on_error(self, exc: Exception) -> None:
        """Handle the other reports of nats-py: the end of the stream, refused permissions, dropped messages."""
        if isinstance(exc, OSError | nats.errors.UnexpectedEOF):
            self.reason = _explain(exc)
            if self.client.is_connected:
                self._lost.set()
            return
        text = _explain(exc)
        if text not in self._reported and self.client.is_connected:  # once per connection
            self._reported.add(text)
            log.warning("the bus refuses something", error=text)
        elif not self.client.is_connected:
            self.reason = text


class NatsBus:
    """A Bus over NATS, under `name` (the host's): replies come to inboxes below `_INBOX.<name>`, to which the host's
    credentials can be restricted.

    Entering waits for the end of the first connection attempt (FIRST_S at most), not for its success.  After a loss of
    the connection callers receive an error (RpcUnavailable at once, RpcTimeout for requests in flight); the owner never
    does.  Leaving accepts no new messages, waits `drain_s` seconds for the running handlers, and cancels the rest.
    Raises ConfigError for an invalid URL.
    """

    def __init__(self, url: str, name: str, clock: Clock, *, drain_s: float = DRAIN_S) -> None:
        self._servers = parse_url(url)
        self._name, self._clock, self._drain_s = name, clock, drain_s
        self._inbox = f"_INBOX.{token(name)}.{clock.new_id()}"
        self._serial = itertools.count(1)
        self._replies: dict[str, tuple[str, asyncio.Future[bytes | KilonovaError]]] = {}
        self._wanted: list[_Wanted] = []
        self._handling: set[asyncio.Task[Any]] = set()
        self._connection: _Connection | None = None
        self._reason = "not connected yet"
        self._lost_at: float | None = None
        self._tried = asyncio.Event()
        self._left = False
        self._tasks = Supervisor(clock)

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as the client can see."""
        return self._connection is not None and self._connection.live

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.spawn("keep the bus", self._keep())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_S):
                    await self._tried.wait()
        except BaseException as exc:
            await self._tasks.__aexit__(type(exc), exc, exc.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self._drain()
        finally:
            self._left = True
            await self._tasks.__aexit__(kind, exc, trace)

    async def request(self, subject: str, payload: bytes, timeout_s: float) -> bytes:
        connection = self._live(subject)
        key = str(next(self._serial))
        reply: asyncio.Future[bytes | KilonovaError] = asyncio.get_running_loop().create_future()
        self._replies[key] = (subject, reply)
        try:
            await connection.send(subject, payload, f"{self._inbox}.{key}")
            async with asyncio.timeout(timeout_s):
                answer = await reply
        except TimeoutError:
            raise RpcTimeout(f"No reply from {subject} within {timeout_s:g} s.", subject=subject) from None
        finally:
            del self._replies[key]
        if isinstance(answer, KilonovaError):
            raise answer
        return answer

    async def publish(self, subject: str, payload: bytes) -> None:
        """Publish a message.  Without a connection it is lost without an error.  Raises TooLarge."""
        with contextlib.suppress(RpcUnavailable):
            await self._live(subject).send(subject, payload)

    async def subscribe(self, subject: str, handler: Handler, *, queue: str | None = None) -> None:
        """Subscribe.  With a connection, messages that are sent after the return are received; else those after the
        next connection."""
        wanted = _Wanted(subject, handler, queue or "")
        self._wanted.append(wanted)
        connection = self._connection
        if connection is not None and connection.live:
            with contextlib.suppress(nats.errors.Error):  # lost just now: the next connection subscribes
                await self._subscribe(connection, wanted)
                await self._sync(connection)

    def _live(self, subject: str) -> _Connection:
        connection = self._connection
        if connection is None or not connection.live:
            raise RpcUnavailable(f"The bus is not connected ({self._reason}).", subject=subject)
        return connection

    async def _keep(self) -> None:
        """Keep one connection after another open, without an end."""
        pauses = RETRY.start(self._clock)
        while True:
            connection = _Connection(self._servers, self._name)
            began = self._clock.monotonic()
            try:
                if await self._open(connection):
                    self._tried.set()
                    await connection.until_lost()
                    self._lost(connection)
                    if self._clock.monotonic() - began > STEADY_S:
                        pauses.reset()
            finally:
                self._connection = None
                await connection.close()
            self._tried.set()
            await pauses.wait()

    async def _open(self, connection: _Connection) -> bool:
        try:
            async with asyncio.timeout(OPEN_S):
                await connection.open()
                await connection.client.subscribe(f"{self._inbox}.*", cb=self._on_reply)
                for wanted in self._wanted:  # the list may grow during the loop
                    await self._subscribe(connection, wanted)
                self._connection = connection
                await self._sync(connection)
        except Exception as exc:  # the border of a library: after any failure the next attempt follows
            self._note_outage(_explain(exc))
            return False
        if self._lost_at is not None:
            after_s = round(self._clock.monotonic() - self._lost_at, 1)
            log.info("the bus is back", servers=self._servers.addresses, after_s=after_s)
            self._lost_at = None
        return True

    def _lost(self, connection: _Connection) -> None:
        self._connection = None
        self._note_outage(connection.reason or "closed by the server")
        for subject, reply in self._replies.values():
            if not reply.done():
                lost = f"The connection to the bus was lost before {subject} replied."
                reply.set_result(RpcTimeout(lost, subject=subject))

    def _note_outage(self, reason: str) -> None:
        """Log one line per outage."""
        self._reason = reason
        if self._lost_at is None:
            self._lost_at = self._clock.monotonic()
            servers = self._servers.addresses
            log.warning("no connection to the bus; trying until there is one", servers=servers, reason=reason)

    async def _subscribe(self, connection: _Connection, wanted: _Wanted) -> None:
        async def on_message(msg: Msg) -> None:
            if self._left:
                return
            task = self._tasks.spawn(f"handle {msg.subject}", self._handle(wanted, msg))
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)

        made = await connection.client.subscribe(wanted.subject, wanted.queue, on_message)
        connection.subscriptions.append(made)

    async def _handle(self, wanted: _Wanted, msg: Msg) -> None:
        answer = await wanted.handler(msg.subject, msg.data)
        if not msg.reply:
            return
        with contextlib.suppress(RpcUnavailable):  # the caller reaches its deadline
            try:
                await self._live(msg.subject).send(msg.reply, answer)
            except TooLarge as exc:
                log.warning("a reply was too large for the bus", subject=msg.subject, error=exc.message)
                await self._live(msg.subject).send(msg.reply, wire.encode_error(exc))

    async def _on_reply(self, msg: Msg) -> None:
        waiting = self._replies.get(msg.subject.rpartition(".")[2])
        if waiting is None or waiting[1].done():
            return  # too late: the caller does not wait any more
        subject, reply = waiting
        if msg.headers and msg.headers.get("Status") == NO_RESPONDERS:
            reply.set_result(RpcUnavailable(f"No process serves {subject}.", subject=subject))
        else:
            reply.set_result(msg.data)

    async def _sync(self, connection: _Connection) -> None:
        """Wait until the server has processed all earlier messages; at most SYNC_S (never cancelled: see FLUSH_S)."""
        task = self._tasks.spawn("sync the bus", _quietly(connection.client.flush(FLUSH_S)))
        await asyncio.wait({task}, timeout=SYNC_S)

    async def _drain(self) -> None:
        """Accept no new messages; answer those that arrived."""
        try:
            async with asyncio.timeout(self._drain_s):
                if self._connection is not None and self._connection.live:
                    for subscription in self._connection.subscriptions:
                        await _quietly(subscription.drain())
                while self._handling:
                    await asyncio.wait(self._handling)
                if self._connection is not None and self._connection.live:
                    await self._sync(self._connection)
        except TimeoutError:
            log.warning("left the bus with messages in hand", count=len(self._handling), limit_s=self._drain_s)


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    """Ignore the errors of a closing connection: its owner learns of the end by other means."""
    with contextlib.suppress(nats.errors.Error, OSError):
        await work


def _explain(exc: BaseException) -> str:
    text = str(exc).removeprefix("nats: ").strip("' ")
    return text or type(exc).__name__
