# SPDX-License-Identifier: Apache-2.0
"""Consoles of guests on other machines: connections to the console listeners of their hosts."""

import asyncio
import contextlib
import ssl

from kilonova.base.errors import HypervisorError, HypervisorUnavailable, InvalidInput
from kilonova.objects.console import ConsoleStream, ConsoleTicket
from kilonova.objects.ids import HostName
from kilonova.rpc import wire
from kilonova.rpcapi import console_wire
from kilonova.rpcapi.console_wire import HELLO_FORM, HELLO_S, Frame, Hello
from kilonova.rpcapi.to_host import ConsolesAt

CONNECT_S = 5.0
REPLY_S = 15.0
"""The host opens the console within this time."""
WRITE_LIMIT_S = 15.0
LOST = "The connection to the guest's host was lost."


class HostConsole:
    """One session; see ConsoleStream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer, self._ended = reader, writer, ""

    @property
    def ended(self) -> str:
        return self._ended

    async def read(self) -> bytes:
        if self._ended:
            return b""
        try:
            kind, body = await console_wire.read_frame(self._reader)
        except (OSError, asyncio.IncompleteReadError):
            self._end(LOST)
            return b""
        except InvalidInput as exc:
            self._end(exc.message)
            return b""
        if kind is Frame.DATA and body:
            return body
        self._end(body.decode(errors="replace") if kind is Frame.END else LOST)
        return b""

    async def write(self, data: bytes) -> None:
        if self._ended:
            raise HypervisorError(self._ended)
        try:
            self._writer.write(console_wire.data_frames(data))
            async with asyncio.timeout(WRITE_LIMIT_S):
                await self._writer.drain()
        except TimeoutError:
            self._end("The guest does not take input.")
            raise HypervisorError(self._ended) from None
        except OSError:
            self._end(LOST)
            raise HypervisorError(self._ended) from None

    async def close(self) -> None:
        self._end("The session was closed.")

    def _end(self, why: str) -> None:
        self._ended = self._ended or why
        self._writer.transport.abort()


class HostConsoles:
    """See kilonova.objects.console.Consoles."""

    async def open(self, ticket: ConsoleTicket) -> ConsoleStream:
        reader, writer = await _connect(ticket.host, ConsolesAt(ticket.address, ticket.port, ticket.certificate))
        try:
            hello = Hello(ticket.secret, ticket.instance_id, ticket.kind)
            writer.write(console_wire.frame(Frame.HELLO, HELLO_FORM.dump_json(hello)))
            async with asyncio.timeout(REPLY_S):
                kind, body = await console_wire.read_frame(reader)
            if kind is not Frame.REPLY:
                raise InvalidInput("The peer does not speak the protocol of consoles.")
            wire.decode_reply(body)
        except (OSError, EOFError, ValueError, InvalidInput) as exc:
            writer.transport.abort()
            raise HypervisorUnavailable(f"Host {ticket.host} did not open the console.") from exc
        except BaseException:
            writer.transport.abort()
            raise
        return HostConsole(reader, writer)


async def reach(host: HostName, at: ConsolesAt) -> None:
    """Connect to the host's console listener, and send nothing.  Raises HypervisorUnavailable in one sentence."""
    _, writer = await _connect(host, at)
    writer.transport.abort()


async def _connect(host: HostName, at: ConsolesAt) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the host's process, as the certificate proves.  Raises HypervisorUnavailable in one sentence."""
    where = f"{at.address} port {at.port}"
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(
                at.address,
                at.port,
                ssl=_context(at.certificate),
                server_hostname=console_wire.SERVER_NAME,
                ssl_handshake_timeout=HELLO_S,
                limit=console_wire.BODY_BYTES,
            )
    except ssl.SSLCertVerificationError as exc:
        raise HypervisorUnavailable(
            f"The process at {where} does not have the certificate of host {host}: its console was not opened."
        ) from exc
    except TimeoutError:
        raise HypervisorUnavailable(
            f"Host {host} does not answer at {where} within {CONNECT_S:g} s: its console cannot be opened. "
            "Check [console] listen and address of the host, and the firewall."
        ) from None
    except OSError as exc:
        raise HypervisorUnavailable(
            f"Host {host} cannot be reached at {where} ({exc.strerror or exc}): its console cannot be opened. "
            "Check [console] listen and address of the host, and the firewall."
        ) from exc
    console_wire.probe_when_silent(writer)
    return reader, writer


def _context(certificate: str) -> ssl.SSLContext:
    """Trusts this certificate, and no CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with contextlib.suppress(ssl.SSLError, ValueError):  # nothing is trusted then
        context.load_verify_locations(cadata=certificate)
    return context
