# SPDX-License-Identifier: Apache-2.0
"""The connections to libvirt: kept open, tested by use, guarded, renewed.

A `Connection` belongs to one lane of native calls and is several sockets to the same daemon, opened as they are needed,
each with at most one call in flight.  (With two calls waiting on one socket, libvirt 9.0's client loses the second one
when keepalive ends it: it waits for ever, and brings the process down when the daemon thaws.)  The loss of one socket
is the loss of all.  States, and what holds in each:

- *opening* (from `start`, and for a moment after a loss): callers wait for the one attempt that is under way, all for
  the same one, and no longer than patience lasts.
- *up*: callers get a socket without a round trip.  That it lives is known from libvirt's close callback, which
  keepalive triggers too, and from calls that fail by its loss.
- *down*: an outage is known; callers get HypervisorUnavailable at once.  One task tries again with backoff.

What was lost is closed in a native thread, never while a call is in flight on it, and never handed out again.  There
is never a second pending open beside a first one; what opens too late is closed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any, TypeVar

import libvirt
import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import HypervisorError, HypervisorUnavailable, KilonovaError, OutcomeUnknown
from kilonova.base.tasks import Supervisor
from kilonova.config.load import Settings
from kilonova.virt.calls.pool import Lane, NativeThreads, Proxy
from kilonova.virt.driver import VirtAPI
from kilonova.virt.libvirt.connection import opening
from kilonova.virt.libvirt.connection.opening import AUTOWRAP, Failure, Opened, OpenOptions, Registrar

T = TypeVar("T")

Hop = Callable[[libvirt.virConnect], T]
"""What is done with a live connection in one native call.  It returns plain values: no libvirt object may leave it."""

log = structlog.get_logger(__name__)

PATIENCE_S = 0.25
"""How long callers wait for an attempt that follows a loss: a daemon that was merely restarted is back by then."""

HOST_WIDTH = 2
"""A bulk read need not wait for an inventory: the first one after a daemon's start takes seconds."""

RETRY_S = (0.1, 1.5)
"""The first and the longest pause between two attempts to open."""
RETRY_SETTLED_S = (5.0, 30.0)
"""Where only a person can help (wrong password, no such driver)."""

PULSE_WIDTH, JOBS_WIDTH = 4, 4
"""Calls that ask a guest's own process, or last as long as its memory is large; lost ones included."""

CLOSE_LIMIT_S = 2.0


class Connection:
    """One lane's connection, of at most `width` sockets.  All methods are for the event loop."""

    def __init__(
        self,
        name: str,
        width: int,
        threads: NativeThreads,
        settings: Settings,
        clock: Clock,
        *,
        read_only: bool,
        closers: Lane,
        on_change: Callable[[], None] = lambda: None,
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
        self.lane = threads.lane(name, width, on_wait=self._want_more)
        self.lane.on_withdrawn = self._discard
        self.opens = 0
        self.up_since_s = 0.0
        self.reason: str | None = "The connection to libvirt was not opened yet."
        self._opener = threads.lane(f"{name}-open", 1)
        self._closers, self._on_change, self._registrar, self._clock = closers, on_change, registrar, clock
        self._connect_timeout_s, self._call_timeout_s = settings.libvirt.connect_timeout, settings.libvirt.call_timeout
        self._live: dict[int, Opened] = {}
        self._closed_early: dict[int, str] = {}
        self._wanted = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._task: asyncio.Task[Any] | None = None

    @property
    def up(self) -> bool:
        return bool(self._live)

    @property
    def started(self) -> bool:
        return self._task is not None

    @property
    def without_events(self) -> str | None:
        """Why the live connection has no lifecycle events; None where it has them."""
        return next((opened.without_events for opened in self._live.values() if opened.without_events), None)

    def start(self, tasks: Supervisor) -> None:
        """Open, and keep open, in the background."""
        self.reason = None
        self._expect(self._connect_timeout_s)
        self._task = tasks.spawn(f"libvirt-{self.name}", self._maintain())

    async def run(
        self,
        fn: Hop[T],
        *,
        deadline_s: float | None = None,
        exclusive: Hashable = None,
        on_late: Callable[[T | Failure], None] | None = None,
    ) -> T:
        """`fn(conn)` in a native thread: one hop for all the libvirt calls in it.

        Raises OutcomeUnknown (also NativeCallTimeout) where it may yet happen, HypervisorUnavailable where it was not
        begun, HypervisorError (details `libvirt_code`, `libvirt_domain`) where libvirt refused, and what `fn` raised of
        our own errors.  `on_late` hears how a call ended that outlived its deadline.
        """
        await self.alive()
        limit_s = deadline_s or self._call_timeout_s
        try:
            result = await self.lane.call(opening.attempt, fn, deadline_s=limit_s, exclusive=exclusive, on_late=on_late)
        except HypervisorUnavailable as exc:
            if exc.details:
                raise
            raise type(exc)(f"libvirt on {self.host} does not answer: {exc.message}", host=self.host) from exc
        if not isinstance(result, Failure):
            return result
        if result.error is not None:
            raise result.error
        if result.lost:
            self._lose(result.number, result.message)
            raise OutcomeUnknown(self._unavailable(result.message).message, host=self.host)
        raise HypervisorError(
            f"libvirt refused: {result.message}", libvirt_code=result.code, libvirt_domain=result.domain
        )

    async def proxy(self) -> Proxy:
        """The connection itself, every method of it and of what it returns an awaitable off the loop.  Only for a
        connection of one socket, or its objects' calls might meet on it."""
        assert self.lane.limit == 1
        await self.alive()
        return Proxy(next(iter(self._live.values())).conn, self.lane, AUTOWRAP)

    async def close(self) -> None:
        """Give it up, within seconds also when the daemon is frozen (then the close goes on in its thread)."""
        if self._task is not None:
            self._task.cancel()
        live, self._live = self._live, {}
        self.reason = "The connection to libvirt was closed."
        self._settled.set()
        self.lane.refuse_waiting(lambda: self._unavailable(self.reason or ""))
        for opened in live.values():
            self.lane.withdraw(opened)
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self._closers.all_back()
        except TimeoutError:
            log.warning("a libvirt connection did not close in time", lane=self.name)

    # -- callers ---------------------------------------------------------------------------------------------------

    async def alive(self) -> None:
        """It is up.  Raises HypervisorUnavailable, within patience."""
        await self._settled.wait()  # patience ends that wait
        if not self._live:
            raise self._unavailable(self.reason or "the connection is being opened")

    def _unavailable(self, reason: str) -> HypervisorUnavailable:
        return HypervisorUnavailable(f"libvirt on {self.host} is not available: {reason}", host=self.host)

    def _expect(self, patience_s: float) -> None:
        self._settled.clear()
        asyncio.get_running_loop().call_later(patience_s, self._out_of_patience)
        self._wanted.set()

    def _out_of_patience(self) -> None:
        if self._live:
            return
        self._settled.set()
        self.lane.refuse_waiting(lambda: self._unavailable(self.reason or "the connection is being opened"))

    def _want_more(self) -> None:
        if self.lane.room > 0:
            self._wanted.set()

    def _lose(self, number: int, reason: str) -> None:
        if number not in self._live:
            return  # an older connection: its loss is known
        lost, self._live = self._live, {}
        self.reason = reason
        for opened in lost.values():
            self.lane.withdraw(opened)
        self._expect(PATIENCE_S)
        self._on_change()

    def _discard(self, opened: Opened) -> None:
        if not self._closers.detach(opening.close_connection, opened):
            log.warning("a lost libvirt connection is not closed: the service has let go of libvirt", lane=self.name)

    # -- the one who opens -----------------------------------------------------------------------------------------

    async def _maintain(self) -> None:
        delay_s = 0.0
        while True:
            await self._wanted.wait()
            if (failure := await self._attempt()) is None:
                delay_s = 0.0
                continue
            if not self._live:
                self.reason = failure.message
                self._out_of_patience()
                self._on_change()
            if self._opener.abandoned:
                # Keepalive does not cover an opening: wait for the pending one, never begin a second beside it.
                await self._opener.all_back()
                continue
            settled = failure.code in opening.SETTLED_CODES
            least_s, most_s = RETRY_SETTLED_S if settled else RETRY_S
            delay_s = min(max(delay_s, least_s), most_s)
            await self._clock.sleep(delay_s * self._clock.random.uniform(0.5, 1.0))
            delay_s *= 2

    async def _attempt(self) -> Failure | None:
        if self.lane.room <= 0:
            if self._live:
                self._wanted.clear()
            return Failure("every place of the lane is held by a call that does not come back")
        self.opens += 1
        number = self.opens
        loop = asyncio.get_running_loop()
        # Events are had once: by the first socket, which lives as long as any.
        register = self._registrar() if self._registrar is not None and not self._live else None
        try:
            result = await self._opener.call(
                opening.open_connection,
                self.options,
                number,
                partial(opening.to_loop, loop, self._closed, number),
                register,
                deadline_s=self._connect_timeout_s,
                on_late=self._late,
            )
        except HypervisorUnavailable:
            return Failure(f"opening {self.options.uri} was not back within {self._connect_timeout_s:g} s")
        if isinstance(result, Failure):
            return result
        closed = self._closed_early.pop(number, None)
        first = not self._live
        if closed is not None or (first and register is None and self._registrar is not None):
            # Closed again already; or the others were lost meanwhile, and this one has no events.
            self._discard(result)
            return Failure(closed or "the connection was lost")
        self._live[number] = result
        self.lane.put(result)
        if not (self.lane.waiting and self.lane.room):
            self._wanted.clear()
        if first:
            self.reason, self.up_since_s = None, self._clock.monotonic()
            self._settled.set()
            self._on_change()
        return None

    def _late(self, result: Opened | Failure) -> None:
        if isinstance(result, Opened):
            self._closed_early.pop(result.number, None)
            self._discard(result)

    def _closed(self, number: int, why: int) -> None:
        reason = f"the connection was lost: {opening.CLOSE_REASONS.get(why, 'unknown reason')}"
        if number in self._live:
            self._lose(number, reason)
        elif number == self.opens:
            self._closed_early[number] = reason


class HypervisorConnection:
    """All lanes' connections as one thing that is in service or is not.

    *control* carries calls on single guests, *host* events and host-wide reads, so that guests which do not answer
    never hold up what concerns all; service is these two.  *pulse* asks guests whether they answer.  *jobs* carries
    calls that may last, and *foreign* is for proxies of the whole binding: both are opened when they are asked for.
    """

    def __init__(
        self, virtapi: VirtAPI, settings: Settings, *, read_only: bool, registrar: Callable[[], Registrar] | None
    ) -> None:
        self._virtapi, self._settings, self._read_only = virtapi, settings, read_only
        self.uri = settings.libvirt.connection_uri or opening.default_uri(settings.libvirt.virt_type)
        self.threads = NativeThreads("libvirt")
        self._closers = self.threads.lane("close", 8)
        # The test driver lives inside our process, with a state of its own for each connection: one must do for all.
        in_process = self.uri.startswith("test:///")
        self.host = self._link("host", 1 if in_process else HOST_WIDTH, registrar)
        self.control, self.pulse, self._jobs, self._foreign = (self.host,) * 4
        if not in_process:
            # One request of the daemon's limit per client is left free for keepalive.
            self.control = self._link("control", settings.libvirt.max_client_requests - 1)
            self.pulse = self._link("pulse", PULSE_WIDTH)
            self._jobs = self._link("jobs", JOBS_WIDTH)
            self._foreign = self._link("foreign", 1)
        self._links = [self.host] if in_process else [self.control, self.host]
        self._on_connected: Callable[[], Awaitable[None]] | None = None
        self._tasks: Supervisor | None = None
        self._in_service: bool | None = None
        self._warned_of_events = False

    @property
    def abandoned(self) -> int:
        """Calls on guests and the host that were given up and have not come back."""
        return sum(link.lane.abandoned for link in {self.host, self.control, self.pulse, self._jobs})

    def start(self, tasks: Supervisor, on_connected: Callable[[], Awaitable[None]]) -> None:
        """Open both and keep them open.  `on_connected` runs after each time that both are up again."""
        self._tasks, self._on_connected = tasks, on_connected
        self._virtapi.set_host_enabled(False, "The connection to libvirt is being opened.")
        for link in {*self._links, self.pulse}:
            link.start(tasks)

    async def close(self) -> None:
        """Close both; within a few seconds."""
        self._in_service = None
        async with asyncio.TaskGroup() as group:
            for link in {self.control, self.host, self.pulse, self._jobs, self._foreign}:
                group.create_task(link.close())
        self.threads.close()

    @property
    def jobs(self) -> Connection:
        """For calls that may last: they hold up each other, and nothing else."""
        return self._begun(self._jobs)

    async def proxy(self) -> Proxy:
        """A live connection with the whole of libvirt's binding as awaitables."""
        return await self._begun(self._foreign).proxy()

    def _begun(self, link: Connection) -> Connection:
        if not link.started and self._tasks is not None:
            link.start(self._tasks)
        return link

    def _link(self, name: str, width: int, registrar: Callable[[], Registrar] | None = None) -> Connection:
        return Connection(
            name,
            width,
            self.threads,
            self._settings,
            self._virtapi.clock,
            read_only=self._read_only,
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
        except KilonovaError as exc:
            log.warning("what follows a connect failed; periodic reads will find it", error=exc.message)
        except Exception:  # one odd guest must not end the host's service
            log.exception("what follows a connect broke off")
