# SPDX-License-Identifier: Apache-2.0
"""Relays between processes: one TCP port for each connection path, which a fault holds or cuts."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

CHUNK = 1 << 16


@dataclass
class Relay:
    """Forwards connections from `port` to the port that `target` returns.  Only the loop of its network calls it."""

    name: str
    target: Callable[[], int]
    port: int = 0
    refuses: bool = False
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        """Listen; nothing is held."""
        self.flows.set()
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Reset all connections: what was on its way is lost."""
        for writer in self.writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            if not self.refuses:
                await self.flows.wait()
                await self._join(reader, writer)
        finally:
            writer.transport.abort()
            self.writers.discard(writer)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target())
        except OSError:
            return
        self.writers.add(back)
        try:
            async with asyncio.TaskGroup() as group:
                for ends in ((reader, back), (there, writer)):
                    group.create_task(self._pump(*ends))
        finally:
            back.transport.abort()
            self.writers.discard(back)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self.flows.wait()
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof() and not writer.transport.is_closing():
                writer.write_eof()


class Network:
    """All relays, in the event loop of a thread of their own.  The methods can be called from any thread."""

    def __init__(self) -> None:
        self.relays: dict[str, Relay] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relays", daemon=True)
        self._thread.start()

    def relay(self, name: str, target: Callable[[], int]) -> int:
        """A new relay; its port."""
        made = self.relays[name] = Relay(name, target)
        asyncio.run_coroutine_threadsafe(made.start(), self._loop).result(10)
        return made.port

    def hold(self, name: str) -> None:
        """Forward nothing; connections stay, and new ones open without an answer."""
        self._loop.call_soon_threadsafe(self.relays[name].flows.clear)

    def refuse(self, name: str) -> None:
        """Reset all connections, and each new one."""
        self.relays[name].refuses = True
        self._loop.call_soon_threadsafe(self.relays[name].cut)

    def heal(self, name: str, *, lossless: bool) -> None:
        """Forward again.  Not lossless: connections that were held are reset, with what was on its way."""
        relay = self.relays[name]
        relay.refuses = False
        if not lossless:
            self._loop.call_soon_threadsafe(relay.cut)
        self._loop.call_soon_threadsafe(relay.flows.set)

    def close(self) -> None:
        """End all connections and the thread."""
        for name in self.relays:
            self.refuse(name)
            self._loop.call_soon_threadsafe(self.relays[name].server.close)
            self._loop.call_soon_threadsafe(self.relays[name].flows.set)
        asyncio.run_coroutine_threadsafe(_others(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


async def _others() -> None:
    """Wait for the end of all connections."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=5)
