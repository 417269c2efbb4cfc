# SPDX-License-Identifier: Apache-2.0
"""A viewer of a guest's screen (RFC 6143), over anything that carries bytes: version 3.8, raw pixels."""

import struct
from collections.abc import Awaitable, Callable
from typing import Any

RETURN, SHIFT = 0xFF0D, 0xFFE1
SHIFTED = "$()*>"
BYTES_PER_PIXEL = 4
FORMAT = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)


class Viewer:
    """`read` gives the next bytes (b"" at the end), `write` sends some."""

    def __init__(self, read: Callable[[], Awaitable[Any]], write: Callable[[bytes], Awaitable[Any]]) -> None:
        self._read, self.write = read, write
        self._waiting = bytearray()
        self.width = self.height = 0
        self.picture = bytearray()

    async def _take(self, count: int) -> bytes:
        while len(self._waiting) < count:
            data = await self._read()
            assert isinstance(data, bytes)
            assert data, "the session ended"
            self._waiting += data
        taken, self._waiting = bytes(self._waiting[:count]), self._waiting[count:]
        return taken

    async def connect(self, *, shared: bool = True) -> None:
        """The handshake, and the pixels in our format."""
        assert await self._take(12) == b"RFB 003.008\n"
        await self.write(b"RFB 003.008\n")
        kinds = await self._take((await self._take(1))[0])
        assert 1 in kinds, kinds
        await self.write(b"\x01")
        assert await self._take(4) == bytes(4)
        await self.write(bytes((shared,)))
        self.width, self.height, _, length = struct.unpack(">HH16sI", await self._take(24))
        await self._take(length)
        await self.write(b"\0\0\0\0" + FORMAT + struct.pack(">BxHi", 2, 1, 0))
        self.picture = bytearray(self.width * self.height * BYTES_PER_PIXEL)

    async def look(self, *, incremental: bool = False) -> bytes:
        """The whole picture as it is now; `incremental`: after its next change."""
        await self.write(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))
        while (kind := (await self._take(1))[0]) != 0:
            assert kind in (2, 3), kind
            if kind == 3:  # the guest's clipboard
                await self._take(struct.unpack(">xxxI", await self._take(7))[0])
        for _ in range(struct.unpack(">xH", await self._take(3))[0]):
            x, y, width, height, encoding = struct.unpack(">HHHHi", await self._take(12))
            assert encoding == 0, encoding
            self._draw(x, y, width, await self._take(width * height * BYTES_PER_PIXEL))
        return bytes(self.picture)

    def _draw(self, x: int, y: int, width: int, pixels: bytes) -> None:
        row = width * BYTES_PER_PIXEL
        for at in range(len(pixels) // row if row else 0):
            begin = ((y + at) * self.width + x) * BYTES_PER_PIXEL
            self.picture[begin : begin + row] = pixels[at * row : (at + 1) * row]

    async def press(self, key: int) -> None:
        """A key, down and up."""
        for down in (True, False):
            await self._key(key, down=down)

    async def type(self, text: str) -> None:
        """Text on a keyboard of the United States, and Return."""
        for char in text:
            shifted = char.isupper() or char in SHIFTED
            if shifted:
                await self._key(SHIFT, down=True)
            await self.press(ord(char))
            if shifted:
                await self._key(SHIFT, down=False)
        await self.press(RETURN)

    async def _key(self, key: int, *, down: bool) -> None:
        await self.write(struct.pack(">BBxxI", 4, down, key))


def colours(picture: bytes) -> set[bytes]:
    """The different colours of a picture."""
    return {picture[at : at + 3] for at in range(0, len(picture), BYTES_PER_PIXEL)}
