# SPDX-License-Identifier: Apache-2.0
"""A guest's serial console through libvirt: a stream on a connection of its own.

libvirt-python's stream calls are made by one native thread per session, one at a time, so that the connection carries
one call at a time here too.  Only the guest's output comes by a callback of libvirt's event loop, which reads what has
arrived and does not wait.

The client library queues what arrives without a limit, so it is always read, with or without a reader of the session: a
ConsoleBuffer bounds it. It also queues input without a limit, so typing is limited to the speed of a serial line.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import libvirt

from kilonova.base.clock import Clock
from kilonova.base.errors import HypervisorError, HypervisorUnavailable, InvalidState
from kilonova.base.threads import DaemonWorkers
from kilonova.objects.ids import InstanceId
from kilonova.virt.console import ConsoleBuffer
from kilonova.virt.libvirt.connection import opening
from kilonova.virt.libvirt.connection.opening import Failure, Opened, OpenOptions
from kilonova.virt.libvirt.domain import guest

CHUNK_BYTES = 1024
BYTES_PER_S = 11520
"""The bytes per second of a line of 115200 baud."""

LIMIT_S = 10.0
"""The time limit for opening a session, and for the guest to accept typed input."""
CLOSE_LIMIT_S = 2.0
RECEIVE_BYTES = 1 << 16

EVENTS = libvirt.VIR_STREAM_EVENT_READABLE | libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP


class LibvirtConsole:
    """See ConsoleStream.  `open` it before anything else."""

    def __init__(self, instance_id: InstanceId, options: OpenOptions, clock: Clock) -> None:
        self._instance_id, self._options, self._clock = instance_id, options, clock
        self._buffer = ConsoleBuffer()
        self._thread = DaemonWorkers(f"console-{instance_id[:8]}", 1)
        self._loop = asyncio.get_running_loop()
        self._opened: Opened | None = None
        self._stream: libvirt.virStream | None = None
        self._closed = False

    @property
    def ended(self) -> str:
        return self._buffer.ended

    async def open(self) -> None:
        """Raises InvalidState, HypervisorError, HypervisorUnavailable; nothing stays open then."""
        try:
            async with asyncio.timeout(LIMIT_S):
                failure = await self._thread.submit(self._open)
        except TimeoutError:
            self._let_go()
            raise HypervisorUnavailable(f"libvirt did not open the console within {LIMIT_S:g} s.") from None
        except BaseException:
            self._let_go()
            raise
        if failure is None:
            return
        self._let_go()
        if failure.error is not None:
            raise failure.error
        kind = HypervisorUnavailable if failure.lost else HypervisorError
        raise kind(f"libvirt refused the console: {failure.message}")

    async def read(self) -> bytes:
        return await self._buffer.take()

    async def write(self, data: bytes) -> None:
        since = self._clock.monotonic()
        while data:
            if not self.ended and self._clock.monotonic() - since > LIMIT_S:
                self.end("The guest did not take what was typed.")
            if self.ended:
                raise HypervisorError(self.ended)
            sent = await self._thread.run(self._send, data[:CHUNK_BYTES])
            if sent:
                data, since = data[sent:], self._clock.monotonic()
            await self._clock.sleep(max(sent, 1) / BYTES_PER_S)

    async def close(self) -> None:
        self.end("The session was closed.")
        if self._closed:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await asyncio.shield(self._let_go())

    def end(self, why: str) -> None:
        """The session is over; `close` is still to come."""
        self._buffer.end(why)

    def _let_go(self) -> asyncio.Future[None]:
        """Close everything in the thread, after its present call; a frozen daemon keeps at most one thread."""
        self._closed = True
        done = self._thread.submit(self._close)
        self._thread.close()
        return done

    def _to_loop(self, fn: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the event has no receiver
            self._loop.call_soon_threadsafe(fn, *args)

    # -- in the native thread ------------------------------------------------------------------------------------------

    def _open(self) -> Failure | None:
        lost = partial(self._to_loop, self.end, "The connection to libvirt was lost.")
        opened = opening.open_connection(self._options, 0, lambda _reason: lost(), None)
        if isinstance(opened, Failure):
            return opened
        self._opened = opened
        found = opening.attempt(opened, self._attach)
        return found if isinstance(found, Failure) else None

    def _attach(self, conn: libvirt.virConnect) -> None:
        domain = guest.running(conn, self._instance_id)
        if domain is None:
            raise InvalidState(f"Guest {self._instance_id} is not running: its console cannot be opened.")
        stream = conn.newStream(libvirt.VIR_STREAM_NONBLOCK)
        first: Any = None  # the first console that there is; its annotation is wrong
        domain.openConsole(first, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
        self._stream = stream
        stream.eventAddCallback(EVENTS, self._receive, None)

    def _send(self, data: bytes) -> int:
        if self._stream is None:
            return len(data)
        try:
            return max(0, self._stream.send(data))  # -2: not now
        except libvirt.libvirtError:
            self._to_loop(self.end, "The guest's console has gone.")
            return len(data)

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        opened, self._opened = self._opened, None
        if stream is not None:
            for undo in (stream.eventRemoveCallback, stream.abort):
                with contextlib.suppress(libvirt.libvirtError):
                    undo()
        if opened is not None:
            opening.close_connection(opened)

    # -- in libvirt's event loop ---------------------------------------------------------------------------------------

    def _receive(self, stream: libvirt.virStream, events: int, _opaque: object) -> None:
        data: Any = None
        with contextlib.suppress(libvirt.libvirtError):
            data = stream.recv(RECEIVE_BYTES)
        if isinstance(data, bytes) and data:
            self._to_loop(self._buffer.put, data)
        elif data != -2 or events & ~libvirt.VIR_STREAM_EVENT_READABLE:
            with contextlib.suppress(libvirt.libvirtError):
                stream.eventUpdateCallback(0)
            self._to_loop(self.end, "The guest's console has gone: it was stopped, or another session has taken over.")
