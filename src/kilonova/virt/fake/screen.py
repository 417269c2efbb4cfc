# SPDX-License-Identifier: Apache-2.0
"""The fake driver's screens: a small RFB server with one framebuffer.  It shows a pattern, which changes with each key.

Source: RFC 6143, The Remote Framebuffer Protocol.  Version 3.8, no authentication, raw encoding, 32 bits per pixel.
Another pixel format of a client is ignored.
"""

import asyncio
import struct
from collections.abc import Generator

from kilonova.base.errors import HypervisorError, InvalidState
from kilonova.objects.ids import InstanceId
from kilonova.virt.fake.calls import LIVE, FakeCalls
from kilonova.virt.fake.machine import FakeGuest

WIDTH, HEIGHT, CELL = 64, 48, 8
VERSION = b"RFB 003.008\n"
NO_AUTHENTICATION = 1
PIXEL_FORMAT = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
_FIXED = {0: 19, 3: 9, 4: 7, 5: 5}
"""Bytes after the type of a client's message: SetPixelFormat, FramebufferUpdateRequest, KeyEvent, PointerEvent."""
SET_ENCODINGS, UPDATE_REQUEST, KEY_EVENT, CUT_TEXT = 2, 3, 4, 6


class FakeScreen:
    """One session; see ConsoleStream.  A frame is made when it is read, so that nothing is stored for a slow reader."""

    def __init__(self, guest: FakeGuest) -> None:
        self._guest, self._ended = guest, ""
        self._input, self._output, self._wanted = bytearray(), bytearray(VERSION), False
        self._steps = self._serve()
        self._need = next(self._steps)
        self._some = asyncio.Event()
        self._some.set()
        self._shown = -1
        guest.screens.append(self)

    @property
    def ended(self) -> str:
        return self._ended

    async def read(self) -> bytes:
        while not self._ended:
            if self._wanted and self._shown != self._guest.pressed:
                self._output += self._frame()
            if self._output:
                data, self._output = bytes(self._output), bytearray()
                return data
            self._some.clear()
            await self._some.wait()
        return b""

    async def write(self, data: bytes) -> None:
        if self._ended:
            raise HypervisorError(self._ended)
        self._input += data
        while not self._ended and len(self._input) >= self._need:
            message, self._input = bytes(self._input[: self._need]), self._input[self._need :]
            self._need = self._steps.send(message)
        self.changed()

    async def close(self) -> None:
        self.end("The session was closed.")

    def end(self, why: str) -> None:
        """The first reason counts."""
        self._ended = self._ended or why
        if self in self._guest.screens:
            self._guest.screens.remove(self)
        self.changed()

    def changed(self) -> None:
        """There may be something to read."""
        self._some.set()

    def _serve(self) -> Generator[int, bytes, None]:
        """The protocol: yields the number of bytes that it needs next."""
        yield len(VERSION)
        self._output += bytes((1, NO_AUTHENTICATION))
        yield 1
        self._output += bytes(4)
        yield 1
        name = b"kilonova"
        self._output += struct.pack(">HH16sI", WIDTH, HEIGHT, PIXEL_FORMAT, len(name)) + name
        while True:
            kind = (yield 1)[0]
            if kind == SET_ENCODINGS:
                yield 4 * struct.unpack(">xH", (yield 3))[0]
            elif kind == CUT_TEXT:
                yield abs(struct.unpack(">xxxi", (yield 7))[0])
            elif kind in _FIXED:
                self._obey(kind, (yield _FIXED[kind]))
            else:
                self.end(f"The client sent a message of type {kind}, which this screen does not have.")
                yield 0

    def _obey(self, kind: int, body: bytes) -> None:
        if kind == UPDATE_REQUEST:
            self._wanted = True
            if body[0] == 0:  # not incremental: even an unchanged picture
                self._shown = -1
        elif kind == KEY_EVENT and body[0]:
            self._guest.press()

    def _frame(self) -> bytes:
        """The whole picture as one raw rectangle."""
        self._wanted, self._shown = False, self._guest.pressed
        rows = (
            struct.pack("<I", 0x202040 + 0x1B0D07 * ((x // CELL + y // CELL + self._shown) % 6))
            for y in range(HEIGHT)
            for x in range(WIDTH)
        )
        return struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0) + b"".join(rows)


class FakeScreens:
    """See VncScreens."""

    def __init__(self, calls: FakeCalls) -> None:
        self._calls = calls

    async def check(self, instance_id: InstanceId) -> None:
        async with self._calls.call("check_screen", instance_id, changes=False):
            self._guest(instance_id)

    async def open(self, instance_id: InstanceId) -> FakeScreen:
        async with self._calls.call("open_screen", instance_id, changes=True):
            return FakeScreen(self._guest(instance_id))

    def _guest(self, instance_id: InstanceId) -> FakeGuest:
        guest = self._calls.defined(instance_id)
        if guest is None or guest.power not in LIVE:
            raise InvalidState(f"Guest {instance_id} is not running: its screen cannot be opened.")
        return guest
