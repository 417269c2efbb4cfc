# SPDX-License-Identifier: Apache-2.0
"""What a message costs on the bus, in things that can be counted."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from kilonova.rpc.nats import NatsBus
from kilonova.rpcapi.permissions import Role
from tests.contract.buses import run
from tests.contract.trust import CLOCK, Bench, trusted

pytestmark = pytest.mark.live

MANY = 50
DATA = 0x17
"""The type of a TLS record with data, in its first byte."""


async def echo(_subject: str, payload: bytes) -> bytes:
    return payload


def records(stream: bytes) -> int:
    """How many TLS records of a stream have data."""
    found, at = 0, 0
    while at + 5 <= len(stream):
        found += stream[at] == DATA
        at += 5 + int.from_bytes(stream[at + 3 : at + 5], "big")
    return found


@asynccontextmanager
async def between(bench: Bench) -> AsyncGenerator[tuple[int, bytearray]]:
    """The port of a listener that passes everything on to the server, and what it received from the client."""
    received = bytearray()
    server_port = int(bench.server.url.rpartition(":")[2])

    ended = asyncio.Event()

    async def passing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray) -> None:
        while some := await reader.read(1 << 16):
            seen.extend(some)
            writer.write(some)
        writer.close()
        await writer.wait_closed()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", server_port)
        async with asyncio.TaskGroup() as group:
            group.create_task(passing(reader, forth, received))
            group.create_task(passing(back, writer, bytearray()))
        ended.set()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with listener:
        yield listener.sockets[0].getsockname()[1], received
        await ended.wait()  # the client has left


def test_messages_that_are_sent_together_are_one_record() -> None:
    with trusted() as bench:

        async def test() -> None:
            async with between(bench) as (port, received):
                access = replace(bench.access(Role.HOST, "h1"), url=f"tls://127.0.0.1:{port}")
                async with (
                    bench.bus(Role.CONDUCTOR, "c1") as conductor,
                    NatsBus(access, "host-h1", CLOCK, drain_s=1.0) as host,
                ):
                    await conductor.subscribe("conductor.host.*", echo, queue="conductors")
                    before = records(received)
                    async with asyncio.TaskGroup() as group:
                        asked = [
                            group.create_task(host.request("conductor.host.h1", b"%d" % number, 5))
                            for number in range(MANY)
                        ]
                    assert [one.result() for one in asked] == [b"%d" % number for number in range(MANY)]
                    assert records(received) - before < 5  # a ping may be between

        run(test)


def test_a_subscription_has_no_task_and_a_request_has_that_of_its_handler() -> None:
    with trusted() as bench:

        async def test() -> None:
            async with bench.bus(Role.CONDUCTOR, "c1") as conductor, bench.bus(Role.HOST, "h1") as host:
                release, running = asyncio.Event(), len(asyncio.all_tasks())

                async def wait(_subject: str, payload: bytes) -> bytes:
                    await release.wait()
                    return payload

                for _ in range(MANY):
                    await conductor.subscribe("heartbeat.*", echo)
                await conductor.subscribe("conductor.host.*", wait, queue="conductors")
                assert len(asyncio.all_tasks()) == running
                async with asyncio.TaskGroup() as group:
                    for _ in range(MANY):
                        group.create_task(host.request("conductor.host.h1", b"", 5))
                    await asyncio.sleep(0.5)
                    assert len(asyncio.all_tasks()) == running + 2 * MANY  # the callers are tasks of this test
                    release.set()

        run(test)
