# SPDX-License-Identifier: Apache-2.0
"""A host's console listener in a fleet: API processes reach the consoles of this host's guests here, by TLS and with a
ticket.

The key and the certificate are made by each process for itself and are in memory only.  An API process receives the
certificate with its ticket, over the bus, where the host's credentials pin its name, and trusts no other.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable

import structlog

from kilonova.base.clock import Clock
from kilonova.base.errors import ConfigError, HypervisorError, HypervisorUnavailable, InvalidInput, KilonovaError
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import Workers
from kilonova.compute.consoles import ConsoleDesk, Listening
from kilonova.config.console import ConsoleSettings
from kilonova.objects.console import ConsoleStream
from kilonova.rpc import certificates, wire
from kilonova.rpc.certificates import Pem
from kilonova.rpcapi import console_wire
from kilonova.rpcapi.console_wire import HELLO_FORM, HELLO_S, Frame

log = structlog.get_logger(__name__)

ADDRESS_S = 10.0
"""The time limit for finding the address of this host."""
HELLO_BYTES = 4096
MOST_CONNECTIONS = 128
"""Connections at a time, with and without a session."""
SEND_LIMIT_S = 30.0
"""The time in which an API process must take output."""
BACKLOG = 64


class ConsoleListener:
    """Listens until its tasks end.  Without a usable address it logs why, and the host grants no consoles."""

    def __init__(
        self, settings: ConsoleSettings, desk: ConsoleDesk, clock: Clock, own_address: Callable[[], str]
    ) -> None:
        """`own_address` finds the address under which API processes reach this host, where no option names it.
        Blocks."""
        self._settings, self._desk, self._clock, self._own_address = settings, desk, clock, own_address
        self._trouble = "The console listener of this host has not started yet."
        self._listening: Listening | None = None
        self._connections = 0
        desk.endpoint = self._endpoint

    async def serve(self, tasks: Supervisor, workers: Workers) -> None:
        """Accept connections until cancelled."""
        try:
            listener = socket.create_server(
                self._settings.listen, family=_family(self._settings.listen[0]), backlog=BACKLOG
            )
        except OSError as exc:
            where = "{}:{}".format(*self._settings.listen)
            self._trouble = f"This host cannot listen on {where} for consoles ([console] listen): {exc.strerror}."
            log.warning("no consoles for API processes", error=self._trouble)
            return
        address = self._settings.address or await self._found(workers)
        pem = await workers.run(certificates.new_alone, console_wire.SERVER_NAME, self._clock.now())
        context = await workers.run(_context, pem)

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.spawn("console connection", self._connection(reader, writer))

        server = await asyncio.start_server(
            connected,
            sock=listener,
            ssl=context,
            ssl_handshake_timeout=HELLO_S,
            limit=console_wire.BODY_BYTES,
        )
        async with server:
            self._listening = Listening(address, listener.getsockname()[1], pem.certificate)
            log.info("consoles for API processes", address=address, port=self._listening.port)
            await server.serve_forever()

    async def _found(self, workers: Workers) -> str:
        try:
            async with asyncio.timeout(ADDRESS_S):
                return await workers.run(self._own_address)
        except (TimeoutError, ConfigError) as exc:
            log.warning("the address for consoles is not known: set [console] address", error=str(exc))
            return "127.0.0.1"

    def _endpoint(self) -> Listening:
        if self._listening is None:
            raise HypervisorUnavailable(self._trouble)
        return self._listening

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end.  Raises nothing but cancellation."""
        self._connections += 1
        try:
            console_wire.probe_when_silent(writer)
            if (stream := await self._opened(reader, writer)) is not None:
                await _relay(stream, reader, writer)
        except (OSError, asyncio.IncompleteReadError, InvalidInput, TimeoutError) as exc:
            log.debug("a connection for a console ended", error=str(exc) or type(exc).__name__)
        finally:
            self._connections -= 1
            writer.transport.abort()

    async def _opened(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> ConsoleStream | None:
        """The session that the peer has a ticket for.  None: it was refused, and has received the reason."""
        try:
            async with asyncio.timeout(HELLO_S):
                kind, body = await console_wire.read_frame(reader, HELLO_BYTES)
            if kind is not Frame.HELLO:
                raise InvalidInput("The first frame is no HELLO.")
            hello = HELLO_FORM.validate_json(body)
        except (ValueError, InvalidInput, TimeoutError, asyncio.IncompleteReadError) as exc:
            if isinstance(exc, asyncio.IncompleteReadError) and not exc.partial:
                return None  # a check of the way to this port sends nothing
            self._desk.refused("hello")
            log.debug("a connection for a console was refused", error=str(exc))
            return None
        try:
            if self._connections > MOST_CONNECTIONS:
                raise HypervisorError(f"{MOST_CONNECTIONS} consoles are open on this host: close one.")
            stream = await self._desk.open(hello.secret, hello.instance_id, hello.kind)
        except KilonovaError as exc:
            await _send(writer, console_wire.frame(Frame.REPLY, wire.encode_error(exc)))
            await _flushed(writer)
            return None
        log.info("a console was opened", instance=hello.instance_id, kind=hello.kind)
        try:
            await _send(writer, console_wire.frame(Frame.REPLY, wire.encode_reply(b"{}")))
        except BaseException:
            await stream.close()
            raise
        return stream


async def _relay(stream: ConsoleStream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy in both directions until one side ends."""
    try:
        async with asyncio.TaskGroup() as group:
            sides = [group.create_task(_to_peer(stream, writer)), group.create_task(_to_guest(stream, reader))]
            done, pending = await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
        reason = next(iter(done)).result()
        await _send(writer, console_wire.frame(Frame.END, reason.encode()))
        await _flushed(writer)
    finally:
        await stream.close()


async def _to_peer(stream: ConsoleStream, writer: asyncio.StreamWriter) -> str:
    while data := await stream.read():
        try:
            await _send(writer, console_wire.data_frames(data))
        except TimeoutError:
            return "The client receives nothing."
        except OSError:
            return "The client disconnected."
    return stream.ended


async def _to_guest(stream: ConsoleStream, reader: asyncio.StreamReader) -> str:
    while True:
        try:
            kind, body = await console_wire.read_frame(reader)
        except (OSError, asyncio.IncompleteReadError):
            return "The client disconnected."
        except InvalidInput as exc:
            return exc.message
        if kind is not Frame.DATA:
            return "The peer does not speak the protocol of consoles."
        try:
            await stream.write(body)
        except KilonovaError as exc:
            return exc.message


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Raises TimeoutError when the peer takes nothing, OSError."""
    writer.write(data)
    async with asyncio.timeout(SEND_LIMIT_S):
        await writer.drain()


async def _flushed(writer: asyncio.StreamWriter) -> None:
    """Close the connection when the peer has the last bytes, or does not take them."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(HELLO_S):
            writer.close()
            await writer.wait_closed()


def _context(pem: Pem) -> ssl.SSLContext:
    """TLS with the certificate.  Blocks.  The library reads keys from files only: this one is in memory."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with os.fdopen(os.memfd_create("kilonova-console"), "w") as file:
        file.write(pem.certificate + pem.key)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    return context


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
