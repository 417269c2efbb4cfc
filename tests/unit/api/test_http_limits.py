# SPDX-License-Identifier: Apache-2.0
"""What one client may take of the server: heads, time, connections.  A real server on a real socket; its clock is
`tick`."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect

from kilonova.api.http.server import Server, make_server
from kilonova.config.load import load
from tests.make import run

HEAD = 4096
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Desk:
    """A server, and how clients reach it.  `held` keeps answers back until it is set."""

    server: Server
    address: tuple[str, int]
    held: asyncio.Event
    stack: AsyncExitStack

    async def connect(self, data: bytes = b"") -> Stream:
        reader, writer = await asyncio.open_connection(*self.address)
        self.stack.callback(writer.close)
        writer.write(data)
        return reader, writer

    async def busy(self) -> Stream:
        """A connection whose request is being served."""
        stream = await self.connect(b"GET /held HTTP/1.1\r\nHost: box\r\n\r\n")
        await self.seen(lambda: any(not one.is_idle() for one in self.all()))
        return stream

    def all(self) -> list[Any]:
        return list(self.server.server_state.connections)

    def tick(self, seconds: float) -> None:
        for connection in self.all():
            connection.tick(seconds)

    async def seen(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not what():  # noqa: ASYNC110 - the server's state tells nobody
                await asyncio.sleep(0.005)


async def answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    async with asyncio.timeout(10):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split("\r\n")[0])
        body = await reader.readexactly(length)
    return int(head.split()[1]), json.loads(body)


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What came until the end."""
    async with asyncio.timeout(10):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


def serve(test: Callable[[Desk], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            await test(await stack.enter_async_context(_desk(stack, settings)))

    run(main())


@asynccontextmanager
async def _desk(stack: AsyncExitStack, settings: dict[str, Any]) -> AsyncGenerator[Desk]:
    held = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            return
        length = 0
        while True:
            message = await receive()
            length += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        if scope["path"] == "/held":
            await held.wait()
        body = b'"' + b"x" * (8 << 20) + b'"' if scope["path"] == "/large" else json.dumps({"length": length}).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = make_server(app, replace(load().api, max_head_bytes=HEAD, **settings))
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listening]))
            yield Desk(server, listening.getsockname(), held, stack)
            held.set()
            for connection in list[Any](server.server_state.connections):
                connection.drop()
            server.stop()


def test_a_head_without_end_is_refused() -> None:
    async def test(desk: Desk) -> None:
        for begin, more in (
            (b"GET / HTTP/1.1\r\nHost: box\r\nX-A: ", b"a" * HEAD),
            (b"GET / HTTP/1.1\r\nHost: box\r\n", b"X-A: a\r\n" * HEAD),
            (b"GET /", b"a" * HEAD),
        ):
            reader, _ = await desk.connect(begin + more)
            status, body = await answer(reader)
            assert (status, body["computeFault"]["code"]) == (431, 431)
            assert await ended(reader) == b""

    serve(test)


def test_what_comes_behind_a_head_does_not_count_to_it() -> None:
    async def test(desk: Desk) -> None:
        large = b"x" * (10 * HEAD)
        post = b"POST / HTTP/1.1\r\nHost: box\r\nContent-Length: %d\r\n\r\n" % len(large)
        reader, writer = await desk.connect()
        for _ in range(3):
            writer.write((post + large) * 2)  # two requests at once
            assert await answer(reader) == (200, {"length": len(large)})
            assert await answer(reader) == (200, {"length": len(large)})

    serve(test)


def test_a_body_that_is_nearly_all_frame_is_refused() -> None:
    async def test(desk: Desk) -> None:
        chunked = b"POST / HTTP/1.1\r\nHost: box\r\nTransfer-Encoding: chunked\r\n\r\n"
        for more in (b"1;" + b"e" * 4 * HEAD, b"0\r\n" + b"X-T: t\r\n" * HEAD):
            reader, _ = await desk.connect(chunked + more)
            assert (await answer(reader))[0] == 400
        reader, _ = await desk.connect(chunked + b"1\r\na\r\n" * HEAD + b"0\r\n\r\n")
        assert await answer(reader) == (200, {"length": HEAD})

    serve(test)


def test_a_client_has_its_time_for_a_head() -> None:
    async def test(desk: Desk) -> None:
        silent, _ = await desk.connect()
        slow, writer = await desk.connect(b"GET / HT")
        await desk.seen(lambda: len(desk.all()) == 2)
        await asyncio.sleep(0.05)  # (what was sent has been read)
        desk.tick(6)
        writer.write(b"TP/1.1\r\n")
        await asyncio.sleep(0.05)
        desk.tick(5)
        assert (await answer(slow))[0] == 408
        assert await ended(silent) == b""
        desk.tick(3)  # nobody lingers for ever
        assert await ended(slow) == b""
        await desk.seen(lambda: not desk.all())

    serve(test)


def test_a_body_may_be_slow_but_not_stand_still() -> None:
    async def test(desk: Desk) -> None:
        head = b"POST / HTTP/1.1\r\nHost: box\r\nContent-Length: 60000\r\n\r\n"
        steady, to_steady = await desk.connect(head)
        still, _ = await desk.connect(head + b"x")
        drop, to_drop = await desk.connect(head)
        await desk.seen(lambda: sum(not one.is_idle() for one in desk.all()) == 3)
        for _ in range(6):
            to_steady.write(b"x" * 10_000)
            to_drop.write(b"x")
            await asyncio.sleep(0.05)
            desk.tick(10)
        assert await answer(steady) == (200, {"length": 60000})
        assert (await answer(still))[0] == 408
        assert (await answer(drop))[0] == 408

    serve(test)


def test_a_request_that_is_served_has_no_limit() -> None:
    async def test(desk: Desk) -> None:
        reader, writer = await desk.busy()
        for _ in range(10):
            desk.tick(100)
        desk.held.set()
        assert (await answer(reader))[0] == 200
        desk.tick(60)  # between two requests a client may pause
        writer.write(b"GET / HTTP/1.1\r\nHost: box\r\n\r\n")
        assert (await answer(reader))[0] == 200

    serve(test)


def test_a_client_that_takes_nothing_is_let_go() -> None:
    async def test(desk: Desk) -> None:
        reader, _ = await desk.connect()
        await desk.seen(lambda: bool(desk.all()))
        with socket.create_connection(desk.address) as deaf:
            deaf.sendall(b"GET /large HTTP/1.1\r\nHost: box\r\n\r\n")
            await desk.seen(lambda: any(one.transport.get_write_buffer_size() for one in desk.all()))
            await asyncio.sleep(0.1)
            desk.tick(1)
            desk.tick(61)
            await desk.seen(lambda: not desk.all())
        assert await ended(reader) == b""

    serve(test)


def test_one_peer_has_so_many_connections_and_no_more() -> None:
    async def test(desk: Desk) -> None:
        idle, _ = await desk.connect(b"GET /idle")  # half a head: it serves nobody
        await desk.seen(lambda: len(desk.all()) == 1)
        await desk.busy()
        await desk.busy()
        await desk.busy()  # the oldest that serves nobody makes room
        assert await ended(idle) == b""
        refused, _ = await desk.connect()
        status, body = await answer(refused)
        assert (status, body["serviceUnavailable"]["code"]) == (503, 503)
        desk.held.set()

    serve(test, max_connections_per_peer=3)


def test_seats_are_given_back() -> None:
    async def test(desk: Desk) -> None:
        for _ in range(10):
            reader, writer = await desk.connect(b"GET / HTTP/1.1\r\nHost: box\r\n\r\n")
            assert (await answer(reader))[0] == 200
            writer.close()
            await desk.seen(lambda: not desk.all())

    serve(test, max_connections_per_peer=2)


def test_what_is_no_http_is_a_fault() -> None:
    async def test(desk: Desk) -> None:
        reader, _ = await desk.connect(b"\x16\x03\x01 hello\r\n\r\n")
        status, body = await answer(reader)
        assert (status, body["badRequest"]["code"]) == (400, 400)

    serve(test)


def test_a_websocket_keeps_its_seat_until_it_ends() -> None:
    async def test(desk: Desk) -> None:
        for _ in range(2):
            async with connect(f"ws://127.0.0.1:{desk.address[1]}/", proxy=None):
                desk.tick(1000)  # it may be silent for as long as it likes
                refused, _ = await desk.connect()
                assert (await answer(refused))[0] == 503
            await desk.seen(lambda: not desk.all())

    serve(test, max_connections_per_peer=1)
