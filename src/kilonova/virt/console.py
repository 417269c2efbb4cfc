# SPDX-License-Identifier: Apache-2.0
"""A bounded buffer for drivers' console sessions, between a guest that cannot wait and a reader that may be slow."""

import asyncio

MOST_BYTES = 256 * 1024
"""The size of the buffer."""


class ConsoleBuffer:
    """Bytes on their way to the reader; event loop only."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._waiting, self._lost = most_bytes, bytearray(), 0
        self._some = asyncio.Event()
        self.ended = ""
        """The reason that nothing more will arrive; empty while more may arrive."""

    def put(self, data: bytes) -> None:
        """Never waits: when the buffer is full, the oldest bytes are dropped."""
        if self.ended:
            return
        self._waiting += data
        over = len(self._waiting) - self._most
        if over > 0:
            del self._waiting[:over]
            self._lost += over
        self._some.set()

    def end(self, why: str) -> None:
        """Nothing more will arrive; the buffer can still be read.  The first reason counts."""
        self.ended = self.ended or why
        self._some.set()

    async def take(self) -> bytes:
        """All bytes in the buffer, at least one; b"" at the end."""
        await self._some.wait()
        data, self._waiting = bytes(self._waiting), bytearray()
        if not self.ended:
            self._some.clear()
        if self._lost:
            data = f"\r\n[{self._lost} bytes were not read in time and are lost]\r\n".encode() + data
            self._lost = 0
        return data
