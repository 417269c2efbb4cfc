# SPDX-License-Identifier: Apache-2.0
"""The bus of a fleet: one process's connection to a NATS server or cluster.

nats-py transports the bytes; this module controls reconnects and queues.  Each nats-py client serves one connection and
never reconnects by itself (its own reconnect stops for good at some errors, and stores messages for later).  The bus
creates a new client after each loss, without a limit, with backoff.  Without a connection no message is stored.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import nats.errors
import structlog
from nats.aio.msg import Msg

from kilonova.base.backoff import Backoff
from kilonova.base.clock import Clock
from kilonova.base.errors import ConfigError, Forbidden, KilonovaError, RpcTimeout, RpcUnavailable, TooLarge
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import DaemonWorkers
from kilonova.rpc import wire
from kilonova.rpc.bus import INBOXES, SMALL_PAYLOAD, USUAL_PAYLOAD, Handler, inbox_prefix
from kilonova.rpc.nats_connection import SYNC_S, Connection
from kilonova.rpc.reasons import explain, is_lasting
from kilonova.rpc.transport_url import Access, Entry

log = structlog.get_logger(__name__)

FIRST_S = 1.0
OPEN_S = 10.0
"""The time limit of a complete opening: every server of the list, and the subscriptions."""
FLUSH_S = 10
"""Longer than pings need to detect a dead connection: nats-py fails when a pong arrives for a flush that timed out."""
DRAIN_S = 5.0
RETRY = Backoff(0.1, 5.0, jitter=(0.5, 1.0))
AT_ONCE_S, ABSENT_S = 0.5, 1.0
"""After an attempt that failed within AT_ONCE_S, no pause is longer than ABSENT_S: nothing listens there, and the
attempt cost little.  A server that is slow, because many reconnect together, receives fewer attempts."""
STEADY_S = 5.0
"""After a connection of this duration the backoff starts again at its minimum."""
NO_RESPONDERS = "503"
KEY_BYTES = 12
FILES = DaemonWorkers("bus-files", 1)
"""Reads credentials, for all buses of the process."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A subscription that is created again on every connection."""

    subject: str
    handler: Handler
    queue: str


class NatsBus:
    """A Bus over NATS, under `name` or the identity of its credentials: replies come to inboxes below
    `_INBOX.<identity>`, to which credentials are restricted.  `access` is a transport_url, or all options.

    Entering waits for the end of the first connection attempt (FIRST_S at most), not for its success.  After a loss of
    the connection callers receive an error (RpcUnavailable at once, RpcTimeout for requests in flight); the owner never
    does.  When the credentials file is replaced, the bus moves to a new connection with them, and no request fails.
    Leaving accepts no new messages, waits `drain_s` seconds for the running handlers, and cancels the rest.  Raises
    ConfigError for invalid options.
    """

    def __init__(self, access: Access | str, name: str, clock: Clock, *, drain_s: float = DRAIN_S) -> None:
        self._access = Access(access) if isinstance(access, str) else access
        self._entry: Entry = self._access.read()
        found = self._entry.credentials
        self.identity = name if found is None else found.identity
        self._clock, self._drain_s = clock, drain_s
        self._inbox = f"{inbox_prefix(self.identity)}.{clock.new_id()}"
        self._replies: dict[str, tuple[str, asyncio.Future[bytes | KilonovaError]]] = {}
        self._wanted: list[_Wanted] = []
        self._handling: set[asyncio.Task[Any]] = set()
        self._connection: Connection | None = None
        self._reason = "not connected yet"
        self._lost_at: float | None = None
        self._lasting = False
        self._logged: set[str] = set()
        self._tried = asyncio.Event()
        self._left = False
        self._tasks = Supervisor(clock)

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as the client can see."""
        return self._connection is not None and self._connection.live

    @property
    def max_payload(self) -> int:
        return USUAL_PAYLOAD if self._connection is None else self._connection.client.max_payload

    @property
    def reason(self) -> str:
        """Why there is no connection, in one sentence."""
        return self._reason

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
        # Not to be guessed: a host knows the inbox from requests that it received, and chooses where its own requests
        # are answered.
        key = self._clock.new_secret(KEY_BYTES)
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[bytes | KilonovaError] = loop.create_future()
        self._replies[key] = (subject, reply)

        def give_up() -> None:
            if not reply.done():
                reply.set_result(RpcTimeout(f"No reply from {subject} within {timeout_s:g} s.", subject=subject))

        timer = loop.call_later(timeout_s, give_up)
        try:
            await connection.send(subject, payload, f"{self._inbox}.{key}")
            answer = await reply
        finally:
            timer.cancel()
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

    def _live(self, subject: str) -> Connection:
        connection = self._connection
        if connection is None or not connection.live:
            raise RpcUnavailable(f"The bus is not connected ({self._reason}).", subject=subject)
        return connection

    async def _keep(self) -> None:
        """Keep one connection after another open, without an end."""
        pauses = RETRY.start(self._clock)
        while True:
            began = self._clock.monotonic()
            try:
                if await self._connect():
                    self._tried.set()
                    await self._stay()
                    if self._clock.monotonic() - began > STEADY_S:
                        pauses.reset()
            finally:
                connection, self._connection = self._connection, None
                if connection is not None:
                    await connection.close()
            self._tried.set()
            await pauses.wait(ABSENT_S if self._absent(began) else RETRY.most_s)

    def _absent(self, began: float) -> bool:
        """Whether the attempt failed because nothing listens, not because an operator must act."""
        return not self._lasting and self._clock.monotonic() - began < AT_ONCE_S

    async def _connect(self) -> bool:
        """Open a connection.  A failure is the reason of the outage."""
        try:
            opened = await self._open()
        except Exception as exc:  # the border of a library: after any failure the next attempt follows
            reason = explain(exc, self._entry.credentials, self._clock.now())
            self._lasting = is_lasting(exc, reason)
            self._note_outage(reason, lasting=self._lasting)
            return False
        self._connection, self._lasting = opened, False
        if self._lost_at is not None:
            after_s = round(self._clock.monotonic() - self._lost_at, 1)
            log.info("the bus is back", servers=self._entry.servers.addresses, after_s=after_s)
            self._lost_at = None
            self._logged.clear()
        return True

    async def _open(self) -> Connection:
        """A connection with all subscriptions.  Raises any exception of nats-py, ConfigError, TimeoutError."""
        entry_at = await self._look_at_file()
        self._entry = await FILES.run(self._access.read) if self._access.has_files else self._access.read()
        found = self._entry.credentials
        if found is not None and found.identity != self.identity:
            raise ConfigError(f"The credentials are of {found.identity} now, and this process is {self.identity}.")
        connection = Connection(self._entry, self.identity, self._clock, self._denied)
        connection.entry_at = entry_at
        try:
            async with asyncio.timeout(OPEN_S):
                await connection.open()
                await connection.subscribe(f"{self._inbox}.*", self._on_reply)
                for wanted in self._wanted:  # the list may grow during the loop
                    await self._subscribe(connection, wanted)
                await self._sync(connection)
        except BaseException as exc:
            await connection.close()
            if connection.lasting and isinstance(exc, OSError | nats.errors.Error):
                raise ConfigError(connection.reason) from exc
            raise
        if connection.client.max_payload < SMALL_PAYLOAD:
            limits = {"max_payload": connection.client.max_payload, "wanted": SMALL_PAYLOAD}
            log.warning("the NATS server's max_payload is small: servers with much user data cannot be built", **limits)
        return connection

    async def _stay(self) -> None:
        """Wait until the connection is lost."""
        seen = None if self._connection is None else self._connection.entry_at
        while (connection := self._connection) is not None and connection.live:
            await connection.look()
            changed_at = await self._look_at_file()
            if connection.live and changed_at not in (None, seen):
                seen = changed_at
                await self._move(connection)
        if connection is not None:
            self._lost(connection)

    async def _look_at_file(self) -> int | None:
        return await FILES.run(self._access.changed_at) if self._access.credentials_file else None

    async def _move(self, former: Connection) -> None:
        """The credentials file was replaced: continue on a new connection, then leave the former one."""
        try:
            self._connection = await self._open()
        except Exception as exc:  # as in _connect; the former connection is still good
            error = explain(exc, self._entry.credentials, self._clock.now())
            log.warning("the new credentials cannot be used; the bus stays on the former ones", error=error)
            return
        log.info("the bus uses new credentials", identity=self.identity)
        self._tasks.spawn("leave a connection", self._retire(former))

    async def _retire(self, connection: Connection) -> None:
        """Close a connection when the handlers of its messages have replied."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._drain_s):
                    for subscription in connection.subscriptions:
                        await _quietly(subscription.drain())
                    if self._handling:  # those of the new connection too; it receives more meanwhile
                        await asyncio.wait(set(self._handling))
                    await self._sync(connection)
        finally:
            await connection.close()

    def _lost(self, connection: Connection) -> None:
        self._connection = None
        self._note_outage(connection.reason, lasting=connection.lasting)
        for subject, reply in self._replies.values():
            if not reply.done():
                lost = f"The connection to the bus was lost before {subject} replied."
                reply.set_result(RpcTimeout(lost, subject=subject))

    def _denied(self, denied: str) -> None:
        """The server refused a message: nobody will reply to it."""
        for subject, reply in self._replies.values():
            if subject.lower() == denied and not reply.done():
                message = f"The credentials of {self.identity} do not permit messages to {subject}."
                reply.set_result(Forbidden(message, subject=subject))

    def _note_outage(self, reason: str, *, lasting: bool) -> None:
        """Log one line per outage, and one for each reason about which an operator must act."""
        self._reason = reason
        if self._lost_at is None or (lasting and reason not in self._logged):
            servers = self._entry.servers.addresses
            log.warning("no connection to the bus; trying until there is one", servers=servers, reason=reason)
            self._logged.add(reason)
        if self._lost_at is None:
            self._lost_at = self._clock.monotonic()

    async def _subscribe(self, connection: Connection, wanted: _Wanted) -> None:
        def on_message(msg: Msg) -> None:
            if self._left:
                return
            task = self._tasks.spawn(f"handle {msg.subject}", self._handle(wanted, connection, msg))
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)

        made = await connection.subscribe(wanted.subject, on_message, wanted.queue)
        connection.subscriptions.append(made)

    async def _handle(self, wanted: _Wanted, connection: Connection, msg: Msg) -> None:
        answer = await wanted.handler(msg.subject, msg.data)
        if not msg.reply.startswith(INBOXES):  # no reply is wanted, or a sender wants to reach a subject through us
            return
        with contextlib.suppress(RpcUnavailable):  # the caller reaches its deadline
            # A permission to reply belongs to the connection that received the request.
            back = connection if connection.live else self._live(msg.subject)
            try:
                await back.send(msg.reply, answer)
            except TooLarge as exc:
                log.warning("a reply was too large for the bus", subject=msg.subject, error=exc.message)
                await back.send(msg.reply, wire.encode_error(exc))

    def _on_reply(self, msg: Msg) -> None:
        waiting = self._replies.get(msg.subject.rpartition(".")[2])
        if waiting is None or waiting[1].done():
            return  # too late: the caller does not wait any more
        subject, reply = waiting
        if msg.headers and msg.headers.get("Status") == NO_RESPONDERS:
            reply.set_result(RpcUnavailable(f"No process serves {subject}.", subject=subject))
        else:
            reply.set_result(msg.data)

    async def _sync(self, connection: Connection) -> None:
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
