# SPDX-License-Identifier: Apache-2.0
"""Conductors report the lowest version among them, and serve the heartbeats of hosts of the previous release."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kilonova import CODE_VERSION
from kilonova.base.errors import HostSuperseded, IncompatibleVersion, KilonovaError, NotInThisVersion
from kilonova.base.failpoints import Failpoints
from kilonova.compute.session import HostIdentity, Session
from kilonova.conductor.host_endpoint import Hooks, HostEndpoint
from kilonova.conductor.hosts import reports
from kilonova.conductor.hosts.host_watch import HostWatch
from kilonova.conductor.hosts.liveness import Liveness
from kilonova.conductor.tools import Tools
from kilonova.config.load import load
from kilonova.config.quota import QuotaSettings
from kilonova.objects.ids import ActionRef, HostName
from kilonova.objects.states import Verb
from kilonova.rpc import wire
from kilonova.rpc.bus import USUAL_PAYLOAD
from kilonova.rpc.memory import MemoryBus, MemoryHub
from kilonova.rpcapi import host_to_conductor as methods
from kilonova.rpcapi.api_to_conductor_admin import ReportService
from kilonova.rpcapi.caller import Caller, HostCaller
from kilonova.rpcapi.versions import OLDEST, ConductorVersion
from tests import make
from tests.simulation.virtual import SimClock, run_virtually
from tests.unit.conductor.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_lowest_version_is_that_of_the_live_conductors(desk: Desk) -> None:
    report = ReportService(HostName("c1"), "kilonova-conductor", "p1", CODE_VERSION + 1, 30.0)
    api = replace(report, host=HostName("a1"), binary="kilonova-api", version=1)
    assert desk.write(reports.report, api, desk.now) == CODE_VERSION  # no conductor has reported itself
    assert desk.write(reports.report, report, desk.now) == CODE_VERSION + 1
    older = replace(report, host=HostName("c2"), version=CODE_VERSION - 1)
    assert desk.write(reports.report, older, desk.now) == CODE_VERSION - 1
    desk.now += timedelta(seconds=20)
    desk.write(reports.report, report, desk.now)
    desk.now += timedelta(seconds=20)
    assert desk.write(reports.report, api, desk.now) == CODE_VERSION + 1  # the older conductor has ended


async def nothing(_host: HostName) -> None: ...


def endpoint_of(desk: Desk, clock: SimClock, liveness: Liveness) -> HostEndpoint:
    def ignore(_what: Verb | ActionRef) -> None: ...

    tools = Tools(desk.db, clock, QuotaSettings({}), Failpoints(), ConductorVersion(OLDEST))
    return HostEndpoint(tools, liveness, Hooks(ignore, nothing, ignore, lambda: None, lambda: USUAL_PAYLOAD))


def test_a_heartbeat_of_the_previous_release_is_served_and_fenced(desk: Desk) -> None:
    desk.register()
    desk.register(process="process-2")

    async def body() -> None:
        clock = SimClock(1)
        liveness = Liveness(clock, down_time_s=60, grace_s=30)
        async with MemoryBus(MemoryHub(), clock) as bus:
            await bus.subscribe(methods.SUBJECT, endpoint_of(desk, clock, liveness).endpoint().handle)
            host = HostCaller(Caller(bus, clock), make.HOST)
            with pytest.raises(HostSuperseded):
                await host.call(methods.HEARTBEAT_CALL, methods.Heartbeat(make.HOST, 1))
            assert not liveness.is_fresh(make.HOST, 2)
            await host.call(methods.HEARTBEAT_CALL, methods.Heartbeat(make.HOST, 2))
            assert liveness.is_fresh(make.HOST, 2)

    run_virtually(body())


@pytest.mark.parametrize("lowest", [CODE_VERSION - 1, CODE_VERSION])
def test_a_host_sends_its_heartbeat_as_the_lowest_conductor_receives_it(desk: Desk, lowest: int) -> None:
    async def body() -> list[str]:
        clock, seen = SimClock(1), list[str]()

        async def conductor(subject: str, payload: bytes) -> bytes:
            request = wire.decode_request(payload)
            seen.append(f"{subject.partition('.')[0]} {request.method}")
            reply = methods.Registered(1, version=CODE_VERSION, conductors=lowest)
            is_register = request.method == methods.REGISTER_HOST.name
            return wire.encode_reply(methods.REGISTER_HOST.reply_form.dump_json(reply) if is_register else b"{}")

        async with MemoryBus(MemoryHub(), clock) as bus:
            await bus.subscribe(methods.SUBJECT, conductor)
            await bus.subscribe(methods.HEARTBEATS, conductor)
            host = HostCaller(Caller(bus, clock, ConductorVersion()), make.HOST)
            session = Session(HostIdentity(make.HOST, "n", "b", "p"), host, clock, load().default)
            await session.register()
            await session.heartbeat()
            await clock.sleep(1)
        return seen

    last = "conductor heartbeat" if lowest < CODE_VERSION else "heartbeat alive"
    assert run_virtually(body()) == ["conductor register_host", last]


def test_a_host_waits_for_a_conductor_that_it_can_work_with(desk: Desk) -> None:
    async def body() -> int:
        clock, versions = SimClock(1), [CODE_VERSION + 2, CODE_VERSION + 2, CODE_VERSION + 1]

        async def conductor(_subject: str, _payload: bytes) -> bytes:
            reply = methods.Registered(7, version=versions.pop(0), conductors=CODE_VERSION)
            return wire.encode_reply(methods.REGISTER_HOST.reply_form.dump_json(reply))

        async with MemoryBus(MemoryHub(), clock) as bus:
            await bus.subscribe(methods.SUBJECT, conductor)
            host = HostCaller(Caller(bus, clock, ConductorVersion()), make.HOST)
            session = Session(HostIdentity(make.HOST, "n", "b", "p"), host, clock, load().default)
            await session.register()
            return session.epoch or 0

    with capture_logs() as said:
        assert run_virtually(body()) == 7
    assert any("upgrade kilonova-compute on host h1 first" in str(line) for line in said)


@pytest.mark.parametrize(("answer", "alive"), [(NotInThisVersion("old"), True), (IncompatibleVersion("far"), False)])
def test_a_host_that_has_no_ping_answers_all_the_same(desk: Desk, answer: KilonovaError, alive: bool) -> None:
    desk.register()

    async def body() -> None:
        clock = SimClock(1)
        liveness = Liveness(clock, down_time_s=20, grace_s=5)

        async def host(_subject: str, _payload: bytes) -> bytes:
            return wire.encode_error(answer)

        async def ping() -> None: ...

        async with MemoryBus(MemoryHub(), clock) as bus:
            await bus.subscribe("compute.*", host)
            watch = HostWatch(desk.db, clock, Caller(bus, clock), liveness, ping)
            for _ in range(40):
                await watch.look(1.0)
                await clock.sleep(1.0)

    run_virtually(body())
    assert desk.node().service.up is alive
