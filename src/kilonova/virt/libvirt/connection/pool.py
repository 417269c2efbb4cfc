# SPDX-License-Identifier: Apache-2.0
"""A pool of sockets to one libvirt daemon: kept open, checked by use, and reopened after a loss.

A `ConnectionPool` opens its sockets when they are needed, and each socket carries at most one call at a time.  (With
two calls waiting on one socket, libvirt 9.0's client loses the second call when keepalive closes the socket: the call
never returns, and the process crashes when the daemon continues.)  The loss of one socket is the loss of all sockets of
the pool.  `PoolState` says what callers get in each state.

A native thread closes a lost socket, never while a call is in flight on it, and the pool never hands it out again.  At
most one attempt to open is pending; a socket that opens too late is closed.
"""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, TypeVar

import libvirt
import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import HypervisorError, HypervisorUnavailable, OutcomeUnknown
from kilonova.base.tasks import Supervisor
from kilonova.virt.calls.pool import CallPool, CallPools
from kilonova.virt.calls.proxy import Proxy
from kilonova.virt.libvirt.connection import opening
from kilonova.virt.libvirt.connection.opening import AUTOWRAP, Failure, Opened, OpenOptions, Registrar

T = TypeVar("T")

LibvirtCall = Callable[[libvirt.virConnect], T]
"""The function of one native call, run with a live connection. It returns plain values: no libvirt object may leave
it."""

log = structlog.get_logger(__name__)

PATIENCE_S = 0.25
"""How long callers wait for the attempt that follows a loss: a restarted daemon usually answers within this time."""

RETRY_S = (0.1, 1.5)
"""The first and the longest pause between two attempts to open."""
RETRY_PERMANENT_S = (5.0, 30.0)
"""The same where only an operator can help (wrong password, unknown driver)."""

CLOSE_LIMIT_S = 2.0


class PoolState(Enum):
    """The state of a pool, which decides what its callers get."""

    CLOSED = "closed"
    """Not started, or closed: HypervisorUnavailable at once."""
    OPENING = "opening"
    """From `start`, and for a moment after a loss: callers wait for the one attempt in progress, all for the same one,
    and no longer than the patience of that attempt."""
    UP = "up"
    """Callers get a socket, without a round trip. libvirt's close callback, which keepalive triggers too, and calls
    that fail by the loss show that a socket is lost."""
    DOWN = "down"
    """The outage is known: HypervisorUnavailable at once.  One task retries with backoff."""


_MOVES: dict[PoolState, frozenset[PoolState]] = {
    PoolState.CLOSED: frozenset({PoolState.OPENING, PoolState.CLOSED}),
    PoolState.OPENING: frozenset({PoolState.UP, PoolState.DOWN, PoolState.CLOSED}),
    PoolState.UP: frozenset({PoolState.OPENING, PoolState.CLOSED}),
    PoolState.DOWN: frozenset({PoolState.UP, PoolState.DOWN, PoolState.CLOSED}),
}


@dataclass(frozen=True, slots=True)
class PoolContext:
    """The parts that all pools of one HypervisorConnection share: how a socket is opened, the default time limit of a
    call, the call pools, and the pool whose threads close lost sockets.  `host` is for messages.

    `on_change` is called after each change of a pool's state, but for `start`, `close` and the end of patience.
    """

    host: str
    opening: OpenOptions
    connect_timeout_s: float
    call_timeout_s: float
    clock: Clock
    pools: CallPools
    closers: CallPool
    on_change: Callable[[], None]


class ConnectionPool:
    """At most `width` sockets.  All methods are for the event loop.

    `registrar` makes the function that registers event callbacks on a fresh socket.
    """

    def __init__(
        self, name: str, width: int, context: PoolContext, registrar: Callable[[], Registrar] | None = None
    ) -> None:
        self.name, self.host, self.options = name, context.host, context.opening
        self.calls = context.pools.pool(name, width, on_wait=self._want_more)
        self.calls.on_withdrawn = self._discard
        self.opens = 0
        self.up_since_s = 0.0
        self.state = PoolState.CLOSED
        self.reason: str | None = "The connection to libvirt was not opened yet."
        """Why the pool is not up; None where it is up, or where the first attempt is in progress."""
        self._opener = context.pools.pool(f"{name}-open", 1)
        self._context, self._registrar = context, registrar
        self._live: dict[int, Opened] = {}
        self._closed_early: dict[int, str] = {}
        self._wanted = asyncio.Event()
        self._decided = asyncio.Event()
        self._decided.set()
        self._patience: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None

    @property
    def up(self) -> bool:
        return self.state is PoolState.UP

    @property
    def started(self) -> bool:
        return self._task is not None

    @property
    def without_events(self) -> str | None:
        """Why the live connection has no lifecycle events; None where it has them."""
        return next((opened.without_events for opened in self._live.values() if opened.without_events), None)

    def _set_state(self, state: PoolState, reason: str | None = None) -> None:
        """The only place that changes the state. Waiting callers continue when it is no longer OPENING."""
        assert state in _MOVES[self.state], f"{self.name}: {self.state} -> {state}"
        self.state, self.reason = state, reason
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if state is PoolState.OPENING:
            self._decided.clear()
            self._wanted.set()
            return
        if state is PoolState.UP:
            self.up_since_s = self._context.clock.monotonic()
        else:
            self.calls.refuse_waiting(self._unavailable)
        self._decided.set()

    def _wait_for(self, patience_s: float) -> None:
        """Callers wait for the attempt in progress for at most `patience_s` seconds."""
        self._patience = asyncio.get_running_loop().call_later(patience_s, self._out_of_patience)

    def _out_of_patience(self) -> None:
        if self.state is PoolState.OPENING:
            self._set_state(PoolState.DOWN, self.reason)

    def start(self, tasks: Supervisor) -> None:
        """Open, and keep open, in the background."""
        self._set_state(PoolState.OPENING)
        self._wait_for(self._context.connect_timeout_s)
        self._task = tasks.spawn(f"libvirt-{self.name}", self._maintain())

    async def run(
        self,
        fn: LibvirtCall[T],
        *,
        deadline_s: float | None = None,
        exclusive: Hashable = None,
        on_late: Callable[[T | Failure], None] | None = None,
    ) -> T:
        """`fn(conn)` in a native thread: one native call for all the libvirt calls in it.

        Raises OutcomeUnknown (also NativeCallTimeout) where `fn` may still happen, HypervisorUnavailable where it was
        not started, HypervisorError (details `libvirt_code`, `libvirt_domain`) where libvirt refused, and what `fn`
        raised of this service's own errors.  `on_late` receives the result of a call that exceeded its deadline.
        """
        await self.alive()
        limit_s = deadline_s or self._context.call_timeout_s
        try:
            result = await self.calls.call(
                opening.attempt, fn, deadline_s=limit_s, exclusive=exclusive, on_late=on_late
            )
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
        """The connection itself; every method of it, and of what it returns, is an awaitable off the loop.  Only for a
        pool of one socket: with more, calls on the objects of one socket could meet on it."""
        assert self.calls.limit == 1
        await self.alive()
        return Proxy(next(iter(self._live.values())).conn, self.calls, AUTOWRAP)

    async def close(self) -> None:
        """Close all sockets, within seconds also when the daemon is frozen (its thread then continues the close)."""
        if self._task is not None:
            self._task.cancel()
        live, self._live = self._live, {}
        self._set_state(PoolState.CLOSED, "The connection to libvirt was closed.")
        for opened in live.values():
            self.calls.withdraw(opened)
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self._context.closers.all_back()
        except TimeoutError:
            log.warning("a libvirt connection did not close in time", pool=self.name)

    # -- callers ---------------------------------------------------------------------------------------------------

    async def alive(self) -> None:
        """Return when the pool is up.  Raises HypervisorUnavailable, within patience."""
        await self._decided.wait()  # the end of patience ends this wait
        if not self.up:
            raise self._unavailable()

    def _unavailable(self, reason: str = "") -> HypervisorUnavailable:
        why = reason or self.reason or "the connection is being opened"
        return HypervisorUnavailable(f"libvirt on {self.host} is not available: {why}", host=self.host)

    def _want_more(self) -> None:
        if self.calls.room > 0:
            self._wanted.set()

    def _lose(self, number: int, reason: str) -> None:
        if number not in self._live:
            return  # an older connection: its loss is known
        lost, self._live = self._live, {}
        for opened in lost.values():
            self.calls.withdraw(opened)
        self._set_state(PoolState.OPENING, reason)
        self._wait_for(PATIENCE_S)
        self._context.on_change()

    def _discard(self, opened: Opened) -> None:
        if not self._context.closers.detach(opening.close_connection, opened):
            log.warning("a lost libvirt connection is not closed: the driver has shut down", pool=self.name)

    # -- the task that opens ---------------------------------------------------------------------------------------

    async def _maintain(self) -> None:
        delay_s = 0.0
        while True:
            await self._wanted.wait()
            if (failure := await self._attempt()) is None:
                delay_s = 0.0
                continue
            if not self.up:
                self._set_state(PoolState.DOWN, failure.message)
                self._context.on_change()
            if self._opener.abandoned:
                # Keepalive does not cover an opening: wait for the pending attempt, never start a second one beside it.
                await self._opener.all_back()
                continue
            permanent = failure.code in opening.PERMANENT_CODES
            least_s, most_s = RETRY_PERMANENT_S if permanent else RETRY_S
            delay_s = min(max(delay_s, least_s), most_s)
            await self._context.clock.sleep(delay_s * self._context.clock.random.uniform(0.5, 1.0))
            delay_s *= 2

    async def _attempt(self) -> Failure | None:
        """Open one more socket; None when it is open, or none is needed."""
        if self.calls.room <= 0:
            if self.up:
                self._wanted.clear()
            return Failure("every slot of the pool is taken by a call that does not return")
        self.opens += 1
        number = self.opens
        # Each event arrives once: on the first socket, which lives as long as any other.
        register = self._registrar() if self._registrar is not None and not self.up else None
        try:
            result = await self._opener.call(
                opening.open_connection,
                self.options,
                number,
                partial(opening.to_loop, asyncio.get_running_loop(), self._closed, number),
                register,
                deadline_s=self._context.connect_timeout_s,
                on_late=self._late,
            )
        except HypervisorUnavailable:
            return Failure(f"opening {self.options.uri} did not return within {self._context.connect_timeout_s:g} s")
        if isinstance(result, Failure):
            return result
        return self._add(result, has_events=register is not None)

    def _add(self, opened: Opened, *, has_events: bool) -> Failure | None:
        """The socket serves calls, unless it was closed again already, or the others were lost meanwhile and it is now
        the first one and has no events."""
        closed = self._closed_early.pop(opened.number, None)
        first = not self.up
        if closed is not None or (first and not has_events and self._registrar is not None):
            self._discard(opened)
            return Failure(closed or "the connection was lost")
        self._live[opened.number] = opened
        self.calls.put(opened)
        if not (self.calls.waiting and self.calls.room):
            self._wanted.clear()
        if first:
            self._set_state(PoolState.UP)
            self._context.on_change()
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
