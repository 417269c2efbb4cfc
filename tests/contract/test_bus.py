# SPDX-License-Identifier: Apache-2.0
"""What every bus promises: one suite, on the in-memory bus and on a real NATS server."""

import asyncio
from collections.abc import Iterator

import pytest

from kilonova.base.clock import SystemClock
from kilonova.base.context import REQUEST_ID, serving
from kilonova.base.errors import RpcTimeout, RpcUnavailable
from kilonova.objects.ids import HostName
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.endpoint import Endpoint
from kilonova.rpcapi.host_to_conductor import HEARTBEAT, Heartbeat
from kilonova.rpcapi.method import Ack
from tests.contract.buses import NEVER_S, Buses, MemoryBuses, NatsBuses, NatsServer, nats_server, run
from tests.make import until

MEMORY, NATS = pytest.param("memory", id="memory"), pytest.param("nats", id="nats", marks=pytest.mark.live)


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


@pytest.fixture(params=[MEMORY, NATS])
def buses(request: pytest.FixtureRequest) -> Buses:
    if request.param == "memory":
        return MemoryBuses()
    return NatsBuses(request.getfixturevalue("server"))


async def echo(subject: str, payload: bytes) -> bytes:
    return subject.encode() + b"|" + payload


def test_a_request_gets_its_reply(buses: Buses) -> None:
    async def test() -> None:
        async with buses.end("a") as asker, buses.end("b") as server:
            await server.subscribe("rr.one", echo)
            assert await asker.request("rr.one", b"\x00hello\r\n", 5) == b"rr.one|\x00hello\r\n"
            assert await asker.request("rr.one", b"", 5) == b"rr.one|"

    run(test)


def test_one_end_may_ask_itself(buses: Buses) -> None:
    async def test() -> None:
        async with buses.end("a") as bus:
            await bus.subscribe("self", echo)
            assert await bus.request("self", b"x", 5) == b"self|x"

    run(test)


def test_nobody_there_is_known_at_once(buses: Buses) -> None:
    async def test() -> None:
        async with buses.end("a") as asker:
            with pytest.raises(RpcUnavailable, match="nobody\\.here"):
                await asker.request("nobody.here", b"x", NEVER_S)

    run(test)


def test_a_reply_that_is_late_is_dropped(buses: Buses) -> None:
    async def test() -> None:
        go, answered = asyncio.Event(), asyncio.Event()

        async def late(_subject: str, payload: bytes) -> bytes:
            if payload == b"slow":
                await go.wait()
                answered.set()
            return b"to " + payload

        async with buses.end("a") as asker, buses.end("b") as server:
            await server.subscribe("late", late)
            with pytest.raises(RpcTimeout, match="late"):
                await asker.request("late", b"slow", 0.1)
            go.set()
            assert await asker.request("late", b"fast", 5) == b"to fast"
            await answered.wait()
            await asyncio.sleep(0.05)
            assert await asker.request("late", b"again", 5) == b"to again"

    run(test)


def test_one_member_of_a_queue_gets_each_message(buses: Buses) -> None:
    async def test() -> None:
        got: dict[str, list[bytes]] = {"b": [], "c": [], "watcher": []}

        def handler(name: str):
            async def handle(_subject: str, payload: bytes) -> bytes:
                got[name].append(payload)
                return name.encode()

            return handle

        async with buses.end("a") as a, buses.end("b") as b, buses.end("c") as c, buses.end("d") as d:
            await b.subscribe("q.work", handler("b"), queue="workers")
            await c.subscribe("q.work", handler("c"), queue="workers")
            await d.subscribe("q.work", handler("watcher"))
            sent = [str(n).encode() for n in range(60)]
            for payload in sent:
                await a.publish("q.work", payload)
            await until(lambda: len(got["b"]) + len(got["c"]) == 60 and len(got["watcher"]) == 60)
            assert sorted(got["b"] + got["c"]) == sorted(sent)
            assert got["b"]
            assert got["c"]

    run(test)


def test_a_wildcard_takes_one_token_and_tells_which(buses: Buses) -> None:
    async def test() -> None:
        async with buses.end("a") as asker, buses.end("b") as server:
            await server.subscribe("conductor.host.*", echo, queue="conductors")
            assert await asker.request("conductor.host.box%2e1", b"x", 5) == b"conductor.host.box%2e1|x"
            with pytest.raises(RpcUnavailable):
                await asker.request("conductor.host.box.1", b"x", 5)
            with pytest.raises(RpcUnavailable):
                await asker.request("conductor.host", b"x", 5)

    run(test)


def test_publishing_reaches_all_and_nobody_is_no_error(buses: Buses) -> None:
    async def test() -> None:
        got: list[bytes] = []

        async def keep(_subject: str, payload: bytes) -> bytes:
            got.append(payload)
            return b""

        async with buses.end("a") as a, buses.end("b") as b:
            await a.publish("p.nobody", b"x")
            await b.subscribe("p.some", keep)
            await b.subscribe("p.some", keep)
            await a.publish("p.some", b"y")
            await until(lambda: got == [b"y", b"y"])

    run(test)


def test_two_hundred_requests_at_once(buses: Buses) -> None:
    async def test() -> None:
        in_hand, all_there = 0, asyncio.Event()

        async def wait_and_echo(subject: str, payload: bytes) -> bytes:
            nonlocal in_hand
            in_hand += 1
            if in_hand == 200:
                all_there.set()
            await all_there.wait()
            return await echo(subject, payload)

        async with buses.end("a") as asker, buses.end("b") as server:
            await server.subscribe("many.*", wait_and_echo)
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(asker.request(f"many.{n}", b"%d" % n, NEVER_S)) for n in range(200)]
            assert [task.result() for task in asked] == [b"many.%d|%d" % (n, n) for n in range(200)]

    run(test)


def test_a_large_payload_both_ways(buses: Buses) -> None:
    async def test() -> None:
        async with buses.end("a") as asker, buses.end("b") as server:
            await server.subscribe("large", echo)
            payload = bytes(range(256)) * 3516
            assert len(payload) > 900_000
            assert await asker.request("large", payload, 10) == b"large|" + payload

    run(test)


def test_a_slow_handler_delays_nobody(buses: Buses) -> None:
    async def test() -> None:
        release = asyncio.Event()

        async def handle(subject: str, payload: bytes) -> bytes:
            if payload == b"slow":
                await release.wait()
            return await echo(subject, payload)

        async with buses.end("a") as asker, buses.end("b") as server, asyncio.TaskGroup() as group:
            await server.subscribe("mixed", handle)
            slow = group.create_task(asker.request("mixed", b"slow", 10))
            await asyncio.sleep(0.05)
            for _ in range(20):
                assert await asker.request("mixed", b"quick", 2) == b"mixed|quick"
            assert not slow.done()
            release.set()
            assert await slow == b"mixed|slow"

    run(test)


def test_leaving_ends_subscriptions(buses: Buses) -> None:
    async def test() -> None:
        async with buses.end("a") as asker:
            async with buses.end("b") as server:
                await server.subscribe("gone", echo)
                await server.subscribe("gone.too", echo, queue="q")
                assert await asker.request("gone", b"x", 5) == b"gone|x"
            for subject in ("gone", "gone.too"):
                with pytest.raises(RpcUnavailable):
                    await asker.request(subject, b"x", 5)

    run(test)


def test_a_cancelled_request_is_over(buses: Buses) -> None:
    async def test() -> None:
        async def never(_subject: str, _payload: bytes) -> bytes:
            await asyncio.Event().wait()
            return b""

        async with buses.end("a") as asker, buses.end("b") as server, asyncio.TaskGroup() as group:
            await server.subscribe("never", never)
            await server.subscribe("fine", echo)
            asked = group.create_task(asker.request("never", b"", 60))
            await asyncio.sleep(0.05)
            asked.cancel()
            await asyncio.wait({asked}, timeout=1)
            assert asked.cancelled()
            assert await asker.request("fine", b"x", 5) == b"fine|x"

    run(test)


def test_each_call_is_handled_under_its_callers_request_id(buses: Buses) -> None:
    """Also when many are handled at once, and for a call that belongs to no request."""

    async def test() -> None:
        handled: dict[int, str] = {}

        async def handler(request: Heartbeat, _peer: str) -> Ack:
            await asyncio.sleep(0.01 * (request.epoch % 3))
            handled[request.epoch] = REQUEST_ID.get()
            return Ack()

        async def call(caller: Caller, number: int) -> None:
            with serving(f"req-{number}" if number else ""):
                await caller.call(HEARTBEAT, Heartbeat(HostName("h1"), number), "h1")

        endpoint = Endpoint()
        endpoint.on(HEARTBEAT, handler)
        async with buses.end("a") as asker, buses.end("b") as server:
            await server.subscribe(HEARTBEAT.subject, endpoint.handle)
            caller = Caller(asker, SystemClock())
            await asyncio.gather(*(call(caller, number) for number in range(20)))
        assert handled == {number: f"req-{number}" if number else "" for number in range(20)}

    run(test)
