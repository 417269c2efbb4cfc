# SPDX-License-Identifier: Apache-2.0
"""Rows: retried when they may be, refused in our own words, closed to a host that speaks for another."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import structlog

from kilonova.base.errors import (
    Conflict,
    DatabaseLocked,
    DatabaseUnavailable,
    Forbidden,
    HostSuperseded,
    InvalidInput,
    KilonovaError,
    RequestOutcomeUnknown,
    RpcTimeout,
    RpcUnavailable,
    StaleWrite,
)
from kilonova.conductor.host_endpoint import pinned
from kilonova.objects.ids import HostName, InstanceId
from kilonova.rpc import wire
from kilonova.rpc.memory import Fate, MemoryBus, MemoryHub
from kilonova.rpcapi import api_to_conductor as conductor
from kilonova.rpcapi import host_to_conductor as host
from kilonova.rpcapi import host_to_conductor_images as host_images
from kilonova.rpcapi import to_host as compute
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.endpoint import Endpoint
from kilonova.rpcapi.host_to_conductor import Heartbeat
from kilonova.rpcapi.method import Ack, Kind, Method, methods_of
from tests.simulation.virtual import SimClock, run_virtually

REQUEST = Heartbeat(HostName("h1"), 1)
BEAT = Method(
    host.SUBJECT, "heartbeat", Heartbeat, Ack, "A call in two attempts.", host.STALE, timeout_s=8, attempt_s=4
)
PATIENT = Method(host.SUBJECT, "patient", Heartbeat, Ack, "A call of 20 seconds, in attempts of five.")


@asynccontextmanager
async def wired(hub: MemoryHub, endpoint: Endpoint, subject: str) -> AsyncGenerator[Caller]:
    clock = SimClock(1)
    async with MemoryBus(hub, clock) as bus:
        await bus.subscribe(subject, endpoint.handle)
        yield Caller(bus, clock)


def test_a_lost_message_is_sent_again_until_the_patience_is_over() -> None:
    sent: list[str] = []

    def lossy(subject: str) -> Fate:
        sent.append(subject)
        return Fate(() if len(sent) == 1 else (0.01,))

    calls = 0

    async def handler(_request: Heartbeat, _peer: str) -> Ack:
        nonlocal calls
        calls += 1
        return Ack()

    async def body() -> None:
        endpoint = Endpoint()
        endpoint.on(BEAT, handler)
        async with wired(MemoryHub(lossy), endpoint, "conductor.host.*") as caller:
            await caller.call(BEAT, REQUEST, "h1")

    run_virtually(body())
    assert calls == 1


def test_the_return_of_the_bus_is_used_within_half_a_second() -> None:
    async def handler(_request: Heartbeat, _peer: str) -> Ack:
        return Ack()

    async def ask() -> float:
        endpoint, clock = Endpoint(), SimClock(1)
        endpoint.on(PATIENT, handler)
        async with MemoryBus(MemoryHub(), clock) as bus, asyncio.TaskGroup() as tasks:
            call = tasks.create_task(Caller(bus, clock).call(PATIENT, REQUEST, "h1"))
            await clock.sleep(12)
            back = clock.monotonic()
            await bus.subscribe("conductor.host.*", endpoint.handle)
            await call
            return clock.monotonic() - back

    assert run_virtually(ask()) < 0.5


class LateClock(SimClock):
    """Each sleep ends ten seconds late, as in a process that is starved of CPU."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds + 10)


def test_an_attempt_after_the_deadline_is_still_a_valid_message() -> None:
    clock, sent = LateClock(1), list[bytes]()

    class Away(MemoryBus):
        async def request(self, subject: str, payload: bytes, timeout_s: float) -> bytes:
            sent.append(payload)
            raise RpcUnavailable("away")

    async def ask() -> None:
        async with Away(MemoryHub(), clock) as bus:
            await Caller(bus, clock).call(BEAT, REQUEST, "h1")

    with pytest.raises(ExceptionGroup) as caught:
        run_virtually(ask())
    assert caught.group_contains(RpcUnavailable)
    assert len(sent) == 2
    assert all(0 < wire.decode_request(payload).timeout_s <= 4 for payload in sent)


def test_nobody_and_nothing_are_told_apart_in_the_end() -> None:
    async def nobody() -> None:
        async with wired(MemoryHub(), Endpoint(), "elsewhere") as caller:
            await caller.call(BEAT, REQUEST, "h1")

    async def silence() -> None:
        async with wired(MemoryHub(lambda _: Fate(())), Endpoint(), "conductor.host.*") as caller:
            await caller.call(BEAT, REQUEST, "h1")

    with pytest.raises(ExceptionGroup) as caught:
        run_virtually(nobody())
    assert caught.group_contains(RpcUnavailable)
    with pytest.raises(ExceptionGroup) as caught:
        run_virtually(silence())
    assert caught.group_contains(RpcTimeout)


def test_an_error_of_the_handler_arrives_as_itself_and_a_defect_without_its_text() -> None:
    async def conflict(_request: Heartbeat, _peer: str) -> Ack:
        raise Conflict("taken")

    async def defect(_request: Heartbeat, _peer: str) -> Ack:
        raise ZeroDivisionError("a secret")

    async def value(_request: Heartbeat, _peer: str) -> Ack:
        raise ValueError("not the caller's")

    async def ask(handler: object) -> KilonovaError:
        endpoint = Endpoint()
        endpoint.on(BEAT, handler)  # type: ignore[arg-type]
        payload = wire.encode_request(wire.Request("heartbeat", 1, 5.0, BEAT.request_form.dump_json(REQUEST)))
        with pytest.raises(KilonovaError) as caught:
            wire.decode_reply(await endpoint.handle("conductor.host.h1", payload))
        return caught.value

    assert isinstance(run_virtually(ask(conflict)), Conflict)
    assert "secret" not in str(run_virtually(ask(defect)))
    assert not isinstance(run_virtually(ask(value)), InvalidInput)


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff", b'{"method": "heartbeat", "version": 1, "timeout_s": 5}\n{}'])
def test_what_is_no_request_is_refused(payload: bytes) -> None:
    endpoint = Endpoint()
    endpoint.on(BEAT, lambda _request, _peer: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(InvalidInput):
        wire.decode_reply(run_virtually(endpoint.handle("conductor.host.h1", payload)))


def test_a_host_speaks_for_itself_only() -> None:
    async def handler(_request: Heartbeat) -> Ack:
        return Ack()

    checked = pinned(handler)
    assert run_virtually(checked(REQUEST, "h1")) == Ack()
    with pytest.raises(Forbidden, match="not about h1"):
        run_virtually(checked(REQUEST, "h2"))


@pytest.mark.parametrize("module", [compute, conductor, host, host_images])
def test_every_row_can_be_encoded_and_says_what_it_is(module: object) -> None:
    for row in methods_of(module).values():
        assert row.doc.endswith(".")
        assert row.request_form.json_schema()
        assert row.attempt_s <= row.timeout_s or row.kind is Kind.CAST


def failing(*answers: KilonovaError | None) -> tuple[MemoryHub, Endpoint]:
    """Each attempt is answered with the next of these; None: by nothing, though it arrived."""
    left = list(answers)
    endpoint = Endpoint()

    async def handler(_request: Heartbeat, _peer: str) -> Ack:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if answer is None:
            raise RpcTimeout("No reply.")
        raise answer

    endpoint.on(BEAT, handler)
    return MemoryHub(), endpoint


def verdict(*answers: KilonovaError | None) -> KilonovaError:
    async def ask() -> KilonovaError:
        hub, endpoint = failing(*answers)
        async with wired(hub, endpoint, "conductor.host.*") as caller:
            try:
                await caller.call(BEAT, REQUEST, "h1")
            except KilonovaError as exc:
                return exc
        raise AssertionError

    return run_virtually(ask())


def test_once_an_attempt_may_have_arrived_no_later_one_makes_it_certain_that_nothing_happened() -> None:
    for last in (RpcUnavailable("gone"), DatabaseUnavailable("full"), DatabaseLocked("locked")):
        assert type(verdict(last)) is type(last)  # no attempt had an unknown end
        found = verdict(None, last)
        assert type(found) is RequestOutcomeUnknown
        assert last.message in found.message
    refused = verdict(None, Conflict("taken", id="1"))
    assert isinstance(refused, Conflict)
    assert "may still be carried out" in refused.message
    assert refused.details == {"id": "1"}


def test_a_row_that_only_reads_has_no_outcome_to_be_unsure_of() -> None:
    async def ask() -> None:
        async with wired(MemoryHub(lambda _: Fate(())), Endpoint(), "compute.h1") as caller:
            await caller.call(compute.DIAGNOSE, compute.Diagnose(InstanceId("i")), "h1")

    with pytest.raises(ExceptionGroup) as caught:
        run_virtually(ask())
    assert not caught.group_contains(RequestOutcomeUnknown)
    assert caught.group_contains(RpcTimeout)


def test_a_lock_is_asked_for_again_while_a_whole_attempt_is_left() -> None:
    calls = 0

    async def handler(_request: Heartbeat, _peer: str) -> Ack:
        nonlocal calls
        calls += 1
        await asyncio.sleep(4)
        raise DatabaseLocked("locked")

    async def ask() -> None:
        endpoint = Endpoint()
        endpoint.on(PATIENT, handler)
        async with wired(MemoryHub(), endpoint, "conductor.host.*") as caller:
            await caller.call(PATIENT, REQUEST, "h1")

    with pytest.raises(ExceptionGroup) as caught:
        run_virtually(ask())
    assert caught.group_contains(DatabaseLocked)
    assert calls == 4


def test_a_method_declares_its_own_errors_and_those_of_every_call() -> None:
    assert all(BEAT.declares(error("x")) for error in (StaleWrite, HostSuperseded, RpcTimeout, DatabaseLocked))
    assert not BEAT.declares(Conflict("x"))
    with structlog.testing.capture_logs() as lines:
        assert isinstance(verdict(Conflict("taken")), Conflict)
    assert [(line["event"], line["code"]) for line in lines] == [("the method does not declare this error", "conflict")]
