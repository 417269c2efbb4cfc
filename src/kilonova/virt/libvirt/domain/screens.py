# SPDX-License-Identifier: Apache-2.0
"""Guests' screens: connections to the VNC server of a guest's QEMU, which listens nowhere (see xml.devices.VncScreen).

libvirt makes a connected pair of sockets, and gives one end to QEMU and the other to us.  Therefore no path must be
right on each host, no other user of the host can connect, and a moved guest needs nothing.
"""

import asyncio
import contextlib
import socket
from functools import partial

import libvirt

from kilonova.base.errors import HypervisorError, InvalidState
from kilonova.objects.ids import InstanceId
from kilonova.virt.driver import changes_guests
from kilonova.virt.libvirt.connection.guest_calls import GuestCalls
from kilonova.virt.libvirt.domain import guest
from kilonova.virt.libvirt.xml import domain as domain_xml

MAX_SCREENS = 64
"""Sessions on this host at a time: each uses a descriptor here and in QEMU."""
OPEN_LIMIT_S = 10.0
WRITE_LIMIT_S = 10.0
"""The time in which QEMU must take input."""
READ_BYTES = 1 << 16


class LibvirtScreen:
    """One session on one guest's screen; see ConsoleStream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._ended = ""

    @property
    def ended(self) -> str:
        return self._ended

    async def read(self) -> bytes:
        data = b""
        if not self._ended:
            with contextlib.suppress(OSError):
                data = await self._reader.read(READ_BYTES)
        if not data:
            self.end("The guest's screen has gone: the guest was stopped.")
        return data

    async def write(self, data: bytes) -> None:
        if self._ended:
            raise HypervisorError(self._ended)
        try:
            self._writer.write(data)
            async with asyncio.timeout(WRITE_LIMIT_S):
                await self._writer.drain()
        except TimeoutError:
            self.end("The guest does not take input.")
            raise HypervisorError(self._ended) from None
        except OSError as exc:
            self.end("The guest's screen has gone: the guest was stopped.")
            raise HypervisorError(self._ended) from exc

    async def close(self) -> None:
        self.end("The session was closed.")

    def end(self, why: str) -> None:
        """The session is over, at once; the first reason counts."""
        self._ended = self._ended or why
        self._writer.transport.abort()


class LibvirtScreens:
    """See VncScreens."""

    def __init__(self, calls: GuestCalls) -> None:
        self._calls, self.read_only = calls, calls.read_only
        self._open: list[LibvirtScreen] = []

    async def check(self, instance_id: InstanceId) -> None:
        await self._calls.read(instance_id, partial(_with_screen, instance_id=instance_id))

    @changes_guests
    async def open(self, instance_id: InstanceId) -> LibvirtScreen:
        self._open = [one for one in self._open if not one.ended]
        if len(self._open) >= MAX_SCREENS:
            raise HypervisorError(f"{MAX_SCREENS} screens are open on this host: close one.")
        connected = await self._calls.job(
            "screen", instance_id, partial(_connect, instance_id=instance_id), OPEN_LIMIT_S
        )
        reader, writer = await asyncio.open_connection(sock=connected, limit=READ_BYTES)
        screen = LibvirtScreen(reader, writer)
        self._open.append(screen)
        return screen

    def close_all(self) -> None:
        """End every session, at once."""
        for screen in self._open:
            screen.end("The service stops.")


def _with_screen(conn: libvirt.virConnect, instance_id: InstanceId) -> libvirt.virDomain:
    domain = guest.running(conn, instance_id)
    if domain is None:
        raise InvalidState(f"Guest {instance_id} is not running: its screen cannot be opened.")
    if not domain_xml.has_screen(domain.XMLDesc(0)):
        raise InvalidState(
            f"Server {instance_id} runs without a screen: it was started before this host gave screens to its guests, "
            "or its image has hw_video_model=none. A hard reboot gives it one, unless its image wants none."
        )
    return domain


def _connect(conn: libvirt.virConnect, instance_id: InstanceId) -> socket.socket:
    domain = _with_screen(conn, instance_id)
    descriptor = domain.openGraphicsFD(0, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=descriptor)
