# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy in front of a server, that can lose what passes it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """`deaf` connections lose what the client sends, `mute` ones what the server answers; neither is closed."""

    port: int
    target: int = 0
    deaf: asyncio.Event = field(default_factory=asyncio.Event)
    mute: asyncio.Event = field(default_factory=asyncio.Event)

    def pass_all(self) -> None:
        """New connections lose nothing."""
        self.deaf, self.mute = asyncio.Event(), asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        deaf, mute = self.deaf, self.mute
        try:
            there, to = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:  # (the server is gone)
            writer.close()
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, to, deaf))
                group.create_task(_pump(there, writer, mute))
        finally:
            to.close()
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            if not lost.is_set():
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def proxy(target: int) -> AsyncGenerator[Proxy]:
    """A proxy in front of a port of this machine."""
    made = Proxy(0, target)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
