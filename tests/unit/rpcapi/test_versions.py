# SPDX-License-Identifier: Apache-2.0
"""Peers of other versions: the next one works, the one after is refused, and a new method waits for all conductors."""

from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from kilonova import CODE_VERSION
from kilonova.base.errors import IncompatibleVersion, InvalidInput, NotInThisVersion
from kilonova.base.metrics import Metrics
from kilonova.objects.ids import HostName
from kilonova.rpc import wire
from kilonova.rpc.memory import MemoryBus, MemoryHub
from kilonova.rpcapi import host_to_conductor as host
from kilonova.rpcapi import to_host
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.endpoint import Endpoint
from kilonova.rpcapi.guard import Guard
from kilonova.rpcapi.method import Ack, Kind, Method
from kilonova.rpcapi.versions import OLDEST, ConductorVersion, check_window, parties
from kilonova.rpcapi.work import Fetched
from tests.simulation.virtual import SimClock, run_virtually

REQUEST = host.Ping(HostName("h1"))
NEXT = Method(host.SUBJECT, "next_thing", host.Ping, Ack, "A method of this version.", since=CODE_VERSION)
NEW_CAST = Method("heartbeat.*", "new_cast", host.Ping, Ack, "A cast.", kind=Kind.CAST, since=CODE_VERSION)
NEW_OF_HOSTS = Method(to_host.SUBJECT, "new_read", host.Ping, Ack, "A read.", since=CODE_VERSION, timeout_s=1)


async def ack(_request: host.Ping, _peer: str) -> Ack:
    return Ack()


async def pong(_request: host.Ping, _peer: str) -> host.Pong:
    return host.Pong()


def answer(version: int, name: str = host.PING.name, subject: str = "conductor.host.h1") -> bytes:
    endpoint = Endpoint()
    endpoint.on(host.PING, pong)
    payload = wire.encode_request(wire.Request(name, version, 5.0, host.PING.request_form.dump_json(REQUEST)))
    return run_virtually(endpoint.handle(subject, payload))


@pytest.mark.parametrize("version", [CODE_VERSION - 1, CODE_VERSION, CODE_VERSION + 1])
def test_a_peer_one_version_away_is_served(version: int) -> None:
    assert wire.decode_reply(answer(version)) == host.PING.reply_form.dump_json(host.Pong())


@pytest.mark.parametrize("version", [CODE_VERSION - 2, CODE_VERSION + 2, -(10**9)])
def test_another_peer_is_refused_in_one_sentence_that_says_what_to_upgrade(version: int) -> None:
    with pytest.raises(IncompatibleVersion) as refused, capture_logs() as said:
        wire.decode_reply(answer(version))
    older = "kilonova-compute on host h1" if version < CODE_VERSION else "kilonova-conductor"
    assert refused.value.message == (
        f"Kilonova-compute on host h1 has code version {version} and kilonova-conductor has code version "
        f"{CODE_VERSION}, and versions that differ by more than one do not work together: upgrade {older} first."
    )
    assert [line["error"] for line in said] == [refused.value.message]  # a cast has no reply: the log has it


@pytest.mark.parametrize(
    ("subject", "sender", "receiver"),
    [
        ("compute.h1", "the sender of the request", "kilonova-compute on host h1"),
        ("conductor.api", "the API process", "kilonova-conductor"),
        ("conductor.operators", "the API process", "kilonova-conductor"),
        ("heartbeat.h1", "kilonova-compute on host h1", "kilonova-conductor"),
    ],
)
def test_the_refusal_names_both(subject: str, sender: str, receiver: str) -> None:
    assert parties(subject) == (sender, receiver)


def test_a_refusal_is_logged_once_for_each_peer_and_counted() -> None:
    async def body() -> list[str]:
        metrics = Metrics()
        endpoint = Endpoint(Guard(SimClock(1), metrics))
        with capture_logs() as said:
            for name in ("h1", "h2", "h1"):
                await endpoint.handle(f"conductor.host.{name}", wire.encode_request(wire.Request("ping", 99, 5.0, b"")))
        assert b'reason="incompatible-version"} 3.0' in metrics.text()
        return [line["peer"] for line in said]

    assert run_virtually(body()) == ["h1", "h2"]


def test_a_method_that_the_receiver_does_not_have_is_left_to_another() -> None:
    with pytest.raises(
        NotInThisVersion, match=f"has code version {CODE_VERSION}, which does not have dance: upgrade it"
    ):
        wire.decode_reply(answer(CODE_VERSION, "dance"))


Answer = Callable[[bytes], Awaitable[bytes]]


def wired(answers: list[bytes], ask: Callable[[Caller], Awaitable[object]], lowest: int = CODE_VERSION) -> list[str]:
    """Each request is answered with the next of these; what was sent."""
    sent: list[str] = []

    async def body() -> None:
        clock = SimClock(1)

        async def handle(_subject: str, payload: bytes) -> bytes:
            sent.append(wire.decode_request(payload).method)
            return answers[min(len(sent), len(answers)) - 1]

        async with MemoryBus(MemoryHub(), clock) as bus:
            for subject in (host.SUBJECT, "heartbeat.*", to_host.SUBJECT):
                await bus.subscribe(subject, handle)
            await ask(Caller(bus, clock, ConductorVersion(lowest)))

    run_virtually(body())
    return sent


OF_VERSION_1 = wire.encode_error(InvalidInput("No such method here: next_thing.", method="next_thing"))
OF_TODAY = wire.encode_error(NotInThisVersion("too old"))
DONE = wire.encode_reply(b"{}")


@pytest.mark.parametrize("older", [OF_VERSION_1, OF_TODAY])
def test_another_conductor_is_tried_within_the_time(older: bytes) -> None:
    assert wired([older, older, DONE], lambda caller: caller.call(NEXT, REQUEST, "h1")) == ["next_thing"] * 3


@pytest.mark.parametrize("older", [OF_VERSION_1, OF_TODAY])
def test_without_a_newer_conductor_it_is_an_error_that_says_so(older: bytes) -> None:
    async def ask(caller: Caller) -> None:
        with pytest.raises(NotInThisVersion):
            await caller.call(NEXT, REQUEST, "h1")

    assert len(wired([older], ask)) > 3


def test_an_input_that_is_invalid_is_not_taken_for_an_old_peer() -> None:
    async def ask(caller: Caller) -> None:
        with pytest.raises(InvalidInput):
            await caller.call(NEXT, REQUEST, "h1")

    assert len(wired([wire.encode_error(InvalidInput("Malformed request."))], ask)) == 1


def test_a_method_that_not_all_conductors_have_is_not_sent() -> None:
    async def ask(caller: Caller) -> None:
        with pytest.raises(NotInThisVersion, match="exists since code version 2: upgrade the conductors first"):
            await caller.call(NEXT, REQUEST, "h1")
        with pytest.raises(NotInThisVersion):
            await caller.cast(NEW_CAST, REQUEST, "h1")
        await caller.call(NEW_OF_HOSTS, REQUEST, "h1")  # the conductors' version says nothing of a host
        caller.conductors.lowest = CODE_VERSION
        await caller.cast(NEW_CAST, REQUEST, "h1")
        await caller.call(NEXT, REQUEST, "h1")

    assert wired([DONE], ask, lowest=CODE_VERSION - 1) == ["new_read", "new_cast", "next_thing"]


def test_before_any_report_the_conductors_may_be_the_oldest() -> None:
    assert ConductorVersion().lowest == OLDEST == CODE_VERSION - 1


def test_a_conductor_of_version_1_reports_no_version() -> None:
    assert host.REGISTER_HOST.reply_form.validate_json(b'{"epoch": 3}').version == 1
    assert host.REGISTER_HOST.reply_form.validate_json(b'{"epoch": 3}').conductors == 1
    assert host.FETCH.reply_form.validate_json(b'{"items": [], "revoked": []}') == Fetched((), (), conductors=1)


def test_the_window_is_the_same_from_both_sides() -> None:
    check_window(CODE_VERSION + 1, "a", "b")
    check_window(CODE_VERSION - 1, "a", "b")
    with pytest.raises(IncompatibleVersion, match="upgrade b first"):
        check_window(CODE_VERSION + 2, "a", "b")
