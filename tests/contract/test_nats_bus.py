# SPDX-License-Identifier: Apache-2.0
"""What the NATS bus promises beyond the common suite: outages, credentials, leaving."""

import asyncio
import signal
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from kilonova.base.clock import SystemClock
from kilonova.base.errors import Forbidden, RpcTimeout, RpcUnavailable, TooLarge
from kilonova.rpc.nats import NatsBus
from tests.contract.buses import NEVER_S, NatsServer, nats_server, run
from tests.make import until

pytestmark = pytest.mark.live

CLOCK = SystemClock()
PASSWORD = "s3cret/w:th@signs"
ENCODED = "s3cret%2Fw%3Ath%40signs"

ACCOUNTS = f"""
authorization {{
  users = [
    {{ user: "conductor", password: "{PASSWORD}" }}
    {{ user: "box1", password: "one", permissions: {{
        publish: {{ allow: ["conductor.host.box1", "_INBOX.>"] }}
        subscribe: {{ allow: ["compute.box1", "_INBOX.box1.>"] }} }} }}
  ]
}}
"""


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


async def echo(subject: str, payload: bytes) -> bytes:
    return subject.encode() + b"|" + payload


def end(server: NatsServer, name: str = "a", *, drain_s: float = 1.0, credentials: str = "") -> NatsBus:
    return NatsBus(server.url.replace("nats://", f"nats://{credentials}"), name, CLOCK, drain_s=drain_s)


async def ask_until_answered(bus: NatsBus, subject: str) -> None:
    """Until a request is answered again."""
    while True:
        try:
            assert await bus.request(subject, b"x", 1) == subject.encode() + b"|x"
            return
        except (RpcTimeout, RpcUnavailable):
            await asyncio.sleep(0.02)


def test_a_server_that_was_restarted_is_found_again(server: NatsServer) -> None:
    async def test() -> None:
        async with end(server) as asker, end(server, "b") as answerer:
            await answerer.subscribe("again.*", echo, queue="q")
            for _ in range(3):
                assert await asker.request("again.x", b"x", 5) == b"again.x|x"
                server.stop()
                await until(lambda: not asker.connected)
                with pytest.raises(RpcUnavailable, match="not connected"):
                    await asker.request("again.x", b"x", NEVER_S)
                await asker.publish("again.x", b"lost without a word")
                server.start()
                await ask_until_answered(asker, "again.x")

    run(test)


def test_an_outage_is_told_once(server: NatsServer) -> None:
    async def test() -> None:
        with capture_logs() as lines:
            async with end(server) as bus:
                server.stop()
                await asyncio.sleep(1.5)
                server.start()
                await until(lambda: bus.connected)
        assert [line["log_level"] for line in lines] == ["warning", "info"], lines

    run(test)


def test_a_server_that_comes_later_is_waited_for(server: NatsServer) -> None:
    async def test() -> None:
        server.stop()
        with capture_logs() as lines:
            async with end(server) as bus:
                await bus.subscribe("later", echo)
                with pytest.raises(RpcUnavailable):
                    await bus.request("later", b"x", 5)
                server.start()
                await ask_until_answered(bus, "later")
        assert len(lines) == 2, lines

    run(test)


class HastyClock(SystemClock):
    """Notes pauses and makes none."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


def pauses_of(url: str, count: int = 12) -> list[float]:
    """The first pauses of a bus that finds no server that takes it."""

    clock = HastyClock()

    async def test() -> None:
        async with NatsBus(url, "a", clock, drain_s=0.1):
            await until(lambda: len(clock.pauses) >= count)

    run(test)
    return clock.pauses[:count]


def test_a_server_that_is_away_is_looked_for_each_second(server: NatsServer) -> None:
    """A fleet is at work again within two seconds of the return of its NATS server."""
    url = server.url
    server.stop()
    assert max(pauses_of(url)) <= 1.0


def test_a_server_that_refuses_is_asked_less_often() -> None:
    with nats_server(ACCOUNTS) as server:
        assert max(pauses_of(server.url.replace("nats://", "nats://box1:wrong@"))) > 2.0


def test_what_was_under_way_when_the_connection_went_is_unknown(server: NatsServer) -> None:
    async def test() -> None:
        async def never(_subject: str, _payload: bytes) -> bytes:
            await asyncio.Event().wait()
            return b""

        async with end(server) as asker, end(server, "b") as answerer, asyncio.TaskGroup() as group:
            await answerer.subscribe("never", never)
            asked = group.create_task(asker.request("never", b"x", NEVER_S))
            await asyncio.sleep(0.1)
            server.stop()
            with pytest.raises(RpcTimeout, match="lost"):
                await asyncio.shield(asked)

    try:
        run(test)
    except* RpcTimeout:
        pass  # the group's own report of the task that failed as it should


def test_a_frozen_server_is_found_out_and_forgiven(server: NatsServer) -> None:
    async def test() -> None:
        async with end(server) as bus:
            await bus.subscribe("frozen", echo)
            server.signal(signal.SIGSTOP)
            try:
                with pytest.raises(RpcTimeout):
                    await bus.request("frozen", b"x", 0.5)
                payload = b"x" * 900_000
                for _ in range(60):  # more than sockets hold: nobody may wait for room
                    try:
                        await bus.publish("frozen", payload)
                    except RpcUnavailable:
                        break
                assert bus.connected  # nobody waited until the server was given up
                await until(lambda: not bus.connected)
                with pytest.raises(RpcUnavailable):
                    await bus.request("frozen", b"x", 5)
            finally:
                server.signal(signal.SIGCONT)
            await ask_until_answered(bus, "frozen")

    run(test)


def test_credentials_are_read_from_the_url_and_never_shown() -> None:
    async def test(server: NatsServer) -> None:
        with capture_logs() as lines:
            async with end(server, "c", credentials=f"conductor:{ENCODED}@") as good:
                assert good.connected
                await good.subscribe("c", echo)
                assert await good.request("c", b"x", 5) == b"c|x"
            assert lines == []
            async with end(server, "c", credentials="conductor:wr0ng@") as bad:
                with pytest.raises(RpcUnavailable, match="Authorization Violation"):
                    await bad.request("c", b"x", 5)
                await asyncio.sleep(0.5)
        assert len(lines) == 1, lines
        assert "wr0ng" not in str(lines)
        assert PASSWORD not in repr(good) + repr(bad)

    with nats_server(ACCOUNTS) as server:
        run(lambda: test(server))


def test_a_host_with_credentials_of_its_own_speaks_for_itself_only() -> None:
    async def test(server: NatsServer) -> None:
        async with (
            end(server, "conductor", credentials=f"conductor:{ENCODED}@") as conductor,
            end(server, "box1", credentials="box1:one@") as box1,
        ):
            await conductor.subscribe("conductor.host.*", echo, queue="conductors")
            await box1.subscribe("compute.box1", echo)
            assert await box1.request("conductor.host.box1", b"x", 5) == b"conductor.host.box1|x"
            assert await conductor.request("compute.box1", b"x", 5) == b"compute.box1|x"
            with capture_logs() as lines:
                for _ in range(3):
                    with pytest.raises(Forbidden, match="do not permit messages to conductor"):
                        await box1.request("conductor.host.box2", b"x", NEVER_S)
            assert len(lines) == 1, lines
            assert box1.connected

    with nats_server(ACCOUNTS) as server:
        run(lambda: test(server))


def test_what_is_too_large_is_refused_and_breaks_nothing(server: NatsServer) -> None:
    async def test() -> None:
        async def grow(_subject: str, _payload: bytes) -> bytes:
            return b"x" * (2 << 20)

        async with end(server) as bus:
            await bus.subscribe("grow", grow)
            await bus.subscribe("fine", echo)
            with pytest.raises(TooLarge):
                await bus.request("grow", b"x" * (2 << 20), 5)
            assert b"too-large" in await bus.request("grow", b"x", 5)
            assert await bus.request("fine", b"x", 5) == b"fine|x"

    run(test)


def test_leaving_answers_what_is_in_hand(server: NatsServer) -> None:
    async def test() -> None:
        begun = asyncio.Event()

        async def slow(subject: str, payload: bytes) -> bytes:
            begun.set()
            await asyncio.sleep(0.4)
            return await echo(subject, payload)

        async with end(server) as asker, asyncio.TaskGroup() as group:
            async with end(server, "b", drain_s=5) as answerer:
                await answerer.subscribe("slow", slow)
                asked = group.create_task(asker.request("slow", b"x", 5))
                await begun.wait()
            assert await asked == b"slow|x"

    run(test)


def test_leaving_has_a_bound(server: NatsServer) -> None:
    async def test() -> None:
        begun = asyncio.Event()

        async def never(_subject: str, _payload: bytes) -> bytes:
            begun.set()
            await asyncio.Event().wait()
            return b""

        with capture_logs() as lines:
            async with end(server, drain_s=0.3) as bus:
                await bus.subscribe("never", never)
                await bus.publish("never", b"")
                await begun.wait()
        assert lines[0]["count"] == 1

    run(test)


def test_leaving_a_frozen_server_has_a_bound(server: NatsServer) -> None:
    async def test() -> None:
        async with end(server, drain_s=0.5) as bus:
            await bus.subscribe("x", echo)
            server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)

    run(test)


def test_a_defect_of_a_handler_is_loud(server: NatsServer) -> None:
    async def test() -> None:
        async def broken(_subject: str, _payload: bytes) -> bytes:
            raise ZeroDivisionError

        with pytest.raises(BaseExceptionGroup) as caught:  # noqa: PT012
            async with end(server) as bus:
                await bus.subscribe("broken", broken)
                await bus.publish("broken", b"")
                await asyncio.sleep(5)
        assert caught.group_contains(ZeroDivisionError)

    run(test)
