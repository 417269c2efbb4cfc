# SPDX-License-Identifier: Apache-2.0
"""One peer sends too much, or nonsense: it is refused, counted, logged once, and delays nobody."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from kilonova.base.errors import (
    Forbidden,
    IncompatibleVersion,
    InvalidInput,
    KilonovaError,
    NotInThisVersion,
    Overloaded,
    RpcTimeout,
    StaleWrite,
)
from kilonova.base.metrics import Metrics
from kilonova.objects.ids import HostName, InstanceId
from kilonova.rpc import wire
from kilonova.rpc.memory import MemoryBus, MemoryHub
from kilonova.rpcapi import host_to_conductor as host
from kilonova.rpcapi import to_host as compute
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.endpoint import Endpoint
from kilonova.rpcapi.guard import MOST_PEERS, QUIET_S, Guard, Limits
from tests.simulation.virtual import SimClock, run_virtually
from tests.unit.rpcapi.test_permissions import declared

PING = wire.encode_request(wire.Request("ping", 1, 5.0, b'{"host":"h1"}'))


def error_of(reply: bytes) -> KilonovaError:
    with pytest.raises(KilonovaError) as caught:
        wire.decode_reply(reply)
    return caught.value


def endpoint(guard: Guard, handler: Any) -> Endpoint:
    made = Endpoint(guard)
    made.on(host.PING, handler)
    return made


async def fine(_request: host.Ping, _peer: str) -> host.Pong:
    return host.Pong()


def test_a_peer_over_its_rate_is_refused_and_another_is_not() -> None:
    async def body() -> None:
        clock, metrics = SimClock(1), Metrics()
        served = endpoint(Guard(clock, metrics, Limits(rate=10, burst=20)), fine)
        with capture_logs() as lines:
            replies = [await served.handle("conductor.host.h1", PING) for _ in range(50)]
            assert [reply[:1] for reply in replies] == [b"+"] * 20 + [b"-"] * 30
            assert isinstance(error_of(replies[-1]), Overloaded)
            assert (await served.handle("conductor.host.h2", PING))[:1] == b"+"
            await clock.sleep(1)
            again = [await served.handle("conductor.host.h1", PING) for _ in range(11)]
            assert [reply[:1] for reply in again] == [b"+"] * 10 + [b"-"]
        assert metrics.value("kilonova_refused_messages_total", reason="overloaded") == 31
        assert [(line["peer"], line["reason"]) for line in lines] == [("h1", "overloaded")]

    run_virtually(body())


def test_a_peer_has_a_bound_of_requests_at_once_and_a_bounded_queue() -> None:
    async def body() -> None:
        clock, most, running = SimClock(1), 0, 0

        async def slow(_request: host.Ping, peer: str) -> host.Pong:
            nonlocal most, running
            if peer == "h1":
                running += 1
                most = max(most, running)
                await clock.sleep(0.5)
                running -= 1
            return host.Pong()

        served = endpoint(Guard(clock, Metrics(), Limits(running=2, waiting=3)), slow)
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(served.handle("conductor.host.h1", PING)) for _ in range(9)]
            await clock.sleep(0.1)
            assert (await served.handle("conductor.host.h2", PING))[:1] == b"+"
        assert sorted(one.result()[:1] for one in asked) == [b"+"] * 5 + [b"-"] * 4
        assert most == 2

    run_virtually(body())


def test_a_request_whose_turn_does_not_come_ends_with_its_caller() -> None:
    async def body() -> None:
        clock, handled = SimClock(1), 0

        async def long(_request: host.Ping, _peer: str) -> host.Pong:
            nonlocal handled
            handled += 1
            await clock.sleep(2)
            return host.Pong()

        served = endpoint(Guard(clock, Metrics(), Limits(running=1)), long)
        short = wire.encode_request(wire.Request("ping", 1, 1.0, b'{"host":"h1"}'))
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(served.handle("conductor.host.h1", one)) for one in (PING, short)]
        assert asked[0].result()[:1] == b"+"
        assert isinstance(error_of(asked[1].result()), RpcTimeout)
        assert handled == 1

    run_virtually(body())


def test_requests_that_waited_in_vain_do_not_fill_the_queue() -> None:
    async def body() -> None:
        clock = SimClock(1)

        async def long(_request: host.Ping, _peer: str) -> host.Pong:
            await clock.sleep(1.5)
            return host.Pong()

        served = endpoint(Guard(clock, Metrics(), Limits(running=1, waiting=1)), long)
        short = wire.encode_request(wire.Request("ping", 1, 0.1, b'{"host":"h1"}'))
        async with asyncio.TaskGroup() as group:
            first = group.create_task(served.handle("conductor.host.h1", PING))
            await clock.sleep(0.1)
            for _ in range(5):
                assert isinstance(error_of(await served.handle("conductor.host.h1", short)), RpcTimeout)
        assert first.result()[:1] == b"+"

    run_virtually(body())


def test_a_caller_that_is_refused_tries_again() -> None:
    async def body() -> None:
        clock = SimClock(1)
        async with MemoryBus(MemoryHub(), clock) as bus:
            served = endpoint(Guard(clock, Metrics(), Limits(rate=1, burst=1)), fine)
            await bus.subscribe("conductor.host.*", served.handle)
            caller = Caller(bus, clock)
            for _ in range(2):
                await caller.call(host.PING, host.Ping(HostName("h1")), "h1")

    run_virtually(body())


@pytest.mark.parametrize("kind", [Forbidden, StaleWrite])
def test_what_a_peer_may_not_say_is_counted_and_logged_once_a_minute(kind: type[KilonovaError]) -> None:
    async def body() -> None:
        clock, metrics = SimClock(1), Metrics()

        async def refuse(_request: host.Ping, _peer: str) -> host.Pong:
            raise kind("That is not yours.")

        served = endpoint(Guard(clock, metrics), refuse)
        with capture_logs() as lines:
            for _ in range(3):
                await served.handle("conductor.host.h1", PING)
            await clock.sleep(QUIET_S)
            await served.handle("conductor.host.h1", PING)
        assert len(lines) == 2
        assert metrics.value("kilonova_refused_messages_total", reason=kind.code) == 4

    run_virtually(body())


def test_a_defect_is_logged_once_a_minute_with_its_traceback() -> None:
    async def body() -> None:
        async def broken(_request: host.Ping, _peer: str) -> host.Pong:
            raise OverflowError

        served = endpoint(Guard(SimClock(1), Metrics()), broken)
        with capture_logs() as lines:
            for _ in range(3):
                assert error_of(await served.handle("conductor.host.h1", PING)).code == "internal"
        assert len(lines) == 1

    run_virtually(body())


def test_invented_names_take_no_memory_without_end() -> None:
    async def body() -> None:
        guard = Guard(SimClock(1), Metrics(), Limits(burst=0))
        for number in range(MOST_PEERS * 2):
            assert not guard.admits(f"h{number}")
        assert len(guard._peers) <= MOST_PEERS  # pyright: ignore[reportPrivateUsage]
        assert len(guard._logged) <= MOST_PEERS  # pyright: ignore[reportPrivateUsage]

    with capture_logs():
        run_virtually(body())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = sorted({method.name for method in declared()})
HEADS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(NAMES) | JSON,
        "version": st.integers(1, 3) | st.integers() | JSON,
        "timeout_s": st.floats() | JSON,
    },
    optional={"request_id": JSON},
)
BODIES = st.dictionaries(st.sampled_from(["host", "epoch", "leg", "attempt", "states", "guests", "notice"]), JSON)


def message(head: object, body: object) -> bytes:
    return json.dumps(head).encode() + b"\n" + json.dumps(body).encode()


MESSAGES = st.one_of(
    st.binary(max_size=200),
    st.builds(message, HEADS, BODIES | JSON),
    st.sampled_from(
        [
            b"[" * 4000,
            b"[" * 100_000,
            b'{"method":' * 10_000,
            b'{"a":1e400}',
            b"\xff\n\xff",
            b"0" * (1 << 20),
            b"\n" + PING,
        ]
    ),
)


def everything() -> Endpoint:
    async def refuse(_request: Any, _peer: str) -> Any:
        raise StaleWrite("Not now.")

    made = Endpoint(Guard(SimClock(1), Metrics()))
    for method in declared():
        made.on(method, refuse)
    return made


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(MESSAGES)
@example(b'{"method": "ping", "version": 1, "timeout_s": %d}\n{}' % 10**400)
@example(b'{"method": "ping", "version": %d, "timeout_s": 1}\n{}' % 10**400)
@example(b'{"method": "ping", "version": 1, "timeout_s": NaN}\n{}')
def test_any_bytes_get_an_error_and_no_traceback(payload: bytes) -> None:
    async def body() -> bytes:
        return await everything().handle("conductor.host.h1", payload)

    with capture_logs() as lines:
        reply = asyncio.run(body())
    assert isinstance(error_of(reply), InvalidInput | StaleWrite | IncompatibleVersion | NotInThisVersion)
    assert not [line for line in lines if line.get("exc_info")]
    assert len(reply) < 2000


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=100) | st.builds(lambda it: b"-" + json.dumps(it).encode(), JSON) | st.just(b"-" + b"[" * 99_999)
)
def test_any_reply_is_read_or_reported(payload: bytes) -> None:
    async def answer(_subject: str, _payload: bytes) -> bytes:
        return payload

    async def body() -> None:
        clock = SimClock(1)
        async with MemoryBus(MemoryHub(), clock) as bus:
            await bus.subscribe("compute.h1", answer)
            with pytest.raises(KilonovaError):
                await Caller(bus, clock).call(compute.CONSOLE_OUTPUT, compute.ConsoleOutput(InstanceId("i")), "h1")

    with capture_logs():
        run_virtually(body())
