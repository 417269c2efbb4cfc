# SPDX-License-Identifier: Apache-2.0
"""The connections to libvirt: kept open, tested by use, guarded, renewed.

A `Connection` belongs to one lane of native calls.  States, and what holds in each:

- *opening* (from `start`, and for a moment after a loss): callers wait for the one attempt that is under way, all for
  the same one, and no longer than `patience`.
- *up*: callers get the connection without a round trip.  That it lives is known from libvirt's close callback, which
  keepalive triggers too, and from calls that fail by its loss.
- *down*: an outage is known; callers get HypervisorUnavailable at once.  One task tries again with backoff.

A lost connection is closed in a native thread and never handed out again.  There is never a second pending open beside
a first one; what opens too late is closed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any, TypeVar

import libvirt
import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import HypervisorError, HypervisorUnavailable
from kilonova.base.tasks import Supervisor
from kilonova.config.load import Settings
from kilonova.virt.driver import VirtAPI
from kilonova.virt.libvirt import opening
from kilonova.virt.libvirt.opening import Failure, Opened, OpenOptions, Registrar
from kilonova.virt.native import Lane, NativeThreads, Proxy

T = TypeVar("T")

Hop = Callable[[libvirt.virConnect], T]
"""What is done with a live connection in one native call.  It returns plain values: no libvirt object may leave it."""

log = structlog.get_logger(__name__)

AUTOWRAP: tuple[type, ...] = tuple(
    value for name, value in vars(libvirt).items() if name.startswith("vir") and isinstance(value, type)
)
"""Types whose objects come back as proxies: virConnect, virDomain, virNetwork, ..."""

PATIENCE_S = 0.25
"""How long callers wait for an attempt that follows a loss: a daemon that was merely restarted is back by then."""

RETRY_FIRST_S = 0.1
RETRY_MOST_S = 1.5
RETRY_SETTLED_S = 30.0
"""Where only a person can help (wrong password, no such driver)."""

CLOSE_LIMIT_S = 2.0

CLOSE_REASONS = {
    libvirt.VIR_CONNECT_CLOSE_REASON_ERROR: "an I/O error",
    libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "the daemon closed it",
    libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "the daemon does not answer keepalive",
    libvirt.VIR_CONNECT_CLOSE_REASON_CLIENT: "closed by us",
}


class Connection:
    """One lane's connection.  All methods are for the event loop."""

    def __init__(
        self,
        name: str,
        threads: NativeThreads,
        settings: Settings,
        clock: Clock,
        *,
        read_only: bool,
        closers: Lane,
        on_change: Callable[[], None],
        registrar: Callable[[], Registrar] | None = None,
    ) -> None:
        self.name, self.host = name, settings.default.host
        self.options = OpenOptions(
            uri=settings.libvirt.connection_uri or opening.default_uri(settings.libvirt.virt_type),
            read_only=read_only,
            auth_file=settings.libvirt.auth_file,
            keepalive_interval_s=settings.libvirt.keepalive_interval,
            keepalive_count=settings.libvirt.keepalive_count,
        )
        # One request of the daemon's limit per client is left free, or keepalive itself starves.
        self.lane = threads.lane(name, settings.libvirt.max_client_requests - 1)
        self.opens = 0
        self.reason: str | None = "The connection to libvirt was not opened yet."
        self._opener = threads.lane(f"{name}-open", 1)
        self._closers, self._on_change, self._registrar = closers, on_change, registrar
        self._clock = clock
        self._connect_timeout_s = settings.libvirt.connect_timeout
        self._call_timeout_s = settings.libvirt.call_timeout
        self._opened: Opened | None = None
        self._attempt_id = 0
        self._closed_early: str | None = None
        self._wanted = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._patience_end = 0.0
        self._task: asyncio.Task[Any] | None = None

    @property
    def up(self) -> bool:
        return self._opened is not None

    @property
    def without_events(self) -> str | None:
        """Why the live connection has no lifecycle events; None where it has them."""
        return self._opened.without_events if self._opened is not None else None

    def start(self, tasks: Supervisor) -> None:
        """Open, and keep open, in the background."""
        self.reason = None
        self._expect(self._connect_timeout_s)
        self._task = tasks.spawn(f"libvirt-{self.name}", self._maintain())

    async def run(self, fn: Hop[T], *, deadline_s: float | None = None, exclusive: Hashable = None) -> T:
        """`fn(conn)` in a native thread: one hop for all the libvirt calls in it.

        Raises HypervisorUnavailable (also NativeCallTimeout) where it may have happened, HypervisorError (details
        `libvirt_code`, `libvirt_domain`) where libvirt refused, and what `fn` raised of our own errors.
        """
        opened = await self._live()
        try:
            result = await self.lane.call(
                opening.attempt, fn, opened.conn, deadline_s=deadline_s or self._call_timeout_s, exclusive=exclusive
            )
        except HypervisorUnavailable as exc:
            raise type(exc)(f"libvirt on {self.host} does not answer: {exc.message}", host=self.host) from exc
        if not isinstance(result, Failure):
            return result
        if result.error is not None:
            raise result.error
        if result.lost:
            self._lose(opened, result.message)
            raise self._unavailable(result.message)
        raise HypervisorError(
            f"libvirt refused: {result.message}", libvirt_code=result.code, libvirt_domain=result.domain
        )

    async def proxy(self) -> Proxy:
        """The live connection itself, every method of it and of what it returns an awaitable off the loop."""
        return Proxy((await self._live()).conn, self.lane, AUTOWRAP)

    async def close(self) -> None:
        """Give it up, within seconds also when the daemon is frozen (then the close goes on in its thread)."""
        if self._task is not None:
            self._task.cancel()
        opened, self._opened = self._opened, None
        self.reason = "The connection to libvirt was closed."
        self._settled.set()
        if opened is not None:
            try:
                await self._closers.call(opening.close_connection, opened, deadline_s=CLOSE_LIMIT_S)
            except HypervisorUnavailable as exc:
                log.warning("libvirt connection did not close in time", lane=self.name, error=exc.message)

    # -- callers ---------------------------------------------------------------------------------------------------

    async def _live(self) -> Opened:
        if self._opened is None and not self._settled.is_set():
            try:
                async with asyncio.timeout_at(self._patience_end):
                    await self._settled.wait()
            except TimeoutError:
                self._settled.set()  # patience is over for everybody
        if self._opened is None:
            raise self._unavailable(self.reason or "the connection is being opened")
        return self._opened

    def _unavailable(self, reason: str) -> HypervisorUnavailable:
        return HypervisorUnavailable(f"libvirt on {self.host} is not available: {reason}", host=self.host)

    def _expect(self, patience_s: float) -> None:
        self._settled.clear()
        self._patience_end = asyncio.get_running_loop().time() + patience_s
        self._wanted.set()

    def _lose(self, opened: Opened, reason: str) -> None:
        if self._opened is not opened:
            return  # an older connection: its loss is known
        self._opened = None
        self.reason = reason
        self._discard(opened)
        self._expect(PATIENCE_S)
        self._on_change()

    def _discard(self, opened: Opened) -> None:
        if not self._closers.detach(opening.close_connection, opened):
            log.warning("a lost libvirt connection could not be closed: too many closes hang", lane=self.name)

    # -- the one who opens -----------------------------------------------------------------------------------------

    async def _maintain(self) -> None:
        delay_s = RETRY_FIRST_S
        while True:
            await self._wanted.wait()
            if (failure := await self._attempt()) is None:
                delay_s = RETRY_FIRST_S
                continue
            self.reason = failure.message
            self._settled.set()
            self._on_change()
            if self._opener.abandoned:
                # Keepalive does not cover an opening: wait for the pending one, never begin a second beside it.
                await self._opener.all_back()
                continue
            most_s = RETRY_SETTLED_S if failure.code in opening.SETTLED_CODES else RETRY_MOST_S
            await self._clock.sleep(min(delay_s, most_s) * self._clock.random.uniform(0.5, 1.0))
            delay_s = min(delay_s * 2, most_s)

    async def _attempt(self) -> Failure | None:
        self._attempt_id += 1
        self._closed_early = None
        loop = asyncio.get_running_loop()
        on_close = partial(_to_loop, loop, self._closed, self._attempt_id)
        register = self._registrar() if self._registrar is not None else None
        self.opens += 1
        try:
            result = await self._opener.call(
                opening.open_connection,
                self.options,
                on_close,
                register,
                deadline_s=self._connect_timeout_s,
                on_late=self._late,
            )
        except HypervisorUnavailable:
            return Failure(f"opening {self.options.uri} was not back within {self._connect_timeout_s:g} s")
        if isinstance(result, Failure):
            return result
        if self._closed_early is not None:
            self._discard(result)
            return Failure(self._closed_early)
        self._opened = result
        self.reason = None
        self._wanted.clear()
        self._settled.set()
        self._on_change()
        return None

    def _late(self, result: Opened | Failure) -> None:
        if isinstance(result, Opened):
            self._discard(result)

    def _closed(self, attempt_id: int, why: int) -> None:
        reason = f"the connection was lost: {CLOSE_REASONS.get(why, 'unknown reason')}"
        if attempt_id != self._attempt_id:
            return
        if self._opened is None:
            self._closed_early = reason
        else:
            self._lose(self._opened, reason)


def _to_loop(loop: asyncio.AbstractEventLoop, fn: Callable[..., None], *args: Any) -> None:
    """Hand a callback of a foreign thread to the loop; dropped when the loop is closed."""
    try:
        loop.call_soon_threadsafe(fn, *args)
    except RuntimeError:
        return


class HypervisorConnection:
    """Both lanes' connections as one thing that is in service or is not.

    *control* carries calls on single guests, *host* events and host-wide reads: calls stuck on a frozen guest block
    every call of their connection, but none of another one's.
    """

    def __init__(
        self, virtapi: VirtAPI, settings: Settings, *, read_only: bool, registrar: Callable[[], Registrar] | None
    ) -> None:
        self._virtapi, self._settings = virtapi, settings
        self.threads = NativeThreads("libvirt")
        self._closers = self.threads.lane("close", 4)
        self.host = self._link("host", read_only, registrar)
        # The test driver lives inside our process, with a state of its own for each connection: one must do for both.
        in_process = self.uri.startswith("test:///")
        self.control = self.host if in_process else self._link("control", read_only, None)
        self._links = [self.host] if in_process else [self.control, self.host]
        self._on_connected: Callable[[], Awaitable[None]] | None = None
        self._tasks: Supervisor | None = None
        self._in_service: bool | None = None
        self._warned_of_events = False

    @property
    def uri(self) -> str:
        return self.host.options.uri

    def start(self, tasks: Supervisor, on_connected: Callable[[], Awaitable[None]]) -> None:
        """Open both and keep them open.  `on_connected` runs after each time that both are up again."""
        self._tasks, self._on_connected = tasks, on_connected
        self._virtapi.set_host_enabled(False, "The connection to libvirt is being opened.")
        for link in self._links:
            link.start(tasks)

    async def close(self) -> None:
        """Close both; within a few seconds."""
        self._in_service = None
        async with asyncio.TaskGroup() as group:
            for link in self._links:
                group.create_task(link.close())
        self.threads.close()

    def _link(self, name: str, read_only: bool, registrar: Callable[[], Registrar] | None) -> Connection:
        return Connection(
            name,
            self.threads,
            self._settings,
            self._virtapi.clock,
            read_only=read_only,
            closers=self._closers,
            on_change=self._changed,
            registrar=registrar,
        )

    def _changed(self) -> None:
        if all(link.up for link in self._links):
            if self._in_service is not True:
                self._came_up()
            return
        reason = next((link.reason for link in self._links if link.reason), None)
        if reason is None or self._in_service is False:
            return  # the other lane's first attempt is under way, or the outage is known
        self._in_service = False
        log.warning("libvirt is not available", uri=self.uri, reason=reason)
        self._virtapi.set_host_enabled(False, f"libvirt is not available: {reason}")
        self._virtapi.notify_error(
            "compute.libvirt.error",
            {"ip": self._settings.default.my_ip, "method": "_connect", "reason": reason},
        )

    def _came_up(self) -> None:
        self._in_service = True
        log.info("libvirt is connected", uri=self.uri)
        if self.host.without_events is not None and not self._warned_of_events:
            self._warned_of_events = True
            log.warning("this URI has no lifecycle events: guests are polled", why=self.host.without_events)
        self._virtapi.set_host_enabled(True)
        if self._tasks is not None and self._on_connected is not None:
            self._tasks.spawn("libvirt-connected", self._after_connect(self._on_connected))

    async def _after_connect(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (HypervisorUnavailable, HypervisorError) as exc:
            log.warning("what follows a connect failed; periodic reads will find it", error=exc.message)
