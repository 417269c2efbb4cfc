# SPDX-License-Identifier: Apache-2.0
"""Which process may have a host: what proves that the one before is gone, and what does not."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kilonova.base.errors import Conflict, HostSuperseded, HostTaken, StaleWrite
from kilonova.base.failpoints import Failpoints
from kilonova.conductor.engine import fencing
from kilonova.conductor.host_endpoint import Hooks, HostEndpoint
from kilonova.conductor.hosts import adoption, conflicts, host_boot, processes
from kilonova.conductor.hosts.liveness import Liveness
from kilonova.conductor.hosts.processes import Sign
from kilonova.conductor.tools import Tools
from kilonova.config.quota import QuotaSettings
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.hosts import HostProcess
from kilonova.objects.ids import AttemptId, HostName
from kilonova.rpc.memory import MemoryBus, MemoryHub
from kilonova.rpcapi.caller import Caller, HostCaller
from kilonova.rpcapi.host_to_conductor import (
    HEARTBEAT,
    HEARTBEATS,
    REGISTER_HOST,
    SUBJECT,
    ConfirmAttempt,
    Contest,
    Heartbeat,
    Leave,
    RegisterHost,
)
from tests import make
from tests.simulation.virtual import SimClock, run_virtually
from tests.unit.conductor.desk import Desk

FIRST = RegisterHost(
    make.HOST, "p1", "node-h1", "boot-1", "kilonova-compute", "compute", 1, "nova", state_id="8:1", started_s=100.0
)
ALIVE, SILENT = Sign(3.0), None


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def register(desk: Desk, request: RegisterHost, sign: Sign | None = ALIVE) -> int:
    desk.write(processes.admit, request, lambda _host, _process: sign)
    epoch: int = desk.write(host_boot.enroll, request, "service-h1", lambda: "id", desk.now).epoch
    return epoch


SECOND = replace(FIRST, process_id="p2")


@pytest.mark.parametrize(
    ("second", "sign"),
    [
        (FIRST, ALIVE),  # the same process asks again
        (replace(SECOND, started_s=200.0), ALIVE),  # it holds the lock that the first held
        (replace(SECOND, boot_id="boot-2"), SILENT),
        (replace(SECOND, boot_id="boot-2", started_s=9.0), SILENT),  # another boot's seconds say nothing
    ],
)
def test_a_process_is_let_in_when_the_one_before_is_gone(desk: Desk, second: RegisterHost, sign: Sign | None) -> None:
    register(desk, FIRST)
    assert register(desk, second, sign) == (1 if second is FIRST else 2)


@pytest.mark.parametrize(
    "second",
    [
        replace(SECOND, boot_id="boot-2", started_s=200.0),  # a copy on another machine, or this one booted anew
        replace(SECOND, state_id="8:2", started_s=200.0),  # a copy in another directory of this machine
        replace(SECOND, state_id="", started_s=200.0),  # it holds no lock
    ],
)
def test_a_process_that_proves_nothing_is_refused_while_the_first_may_live(desk: Desk, second: RegisterHost) -> None:
    register(desk, FIRST)
    for sign, heard in ((ALIVE, "heard 3 s ago"), (Sign(None), "not heard since the conductor's start")):
        with pytest.raises(HostTaken, match=heard) as refused:
            register(desk, second, sign)
        assert refused.value.details["heard_s_ago"] == sign.heard_s_ago
        assert all(words in refused.value.message for words in ("process p1 on boot boot-1", "registered 2026-", "p2"))
        assert "node-h1" not in refused.value.message
    assert register(desk, FIRST) == 1


def test_a_registration_that_comes_after_its_processs_successor_changes_nothing(desk: Desk) -> None:
    """The message of a process that was killed, held up on its way: it would end the one that lives."""
    register(desk, FIRST)
    register(desk, replace(SECOND, started_s=200.0))
    with pytest.raises(HostSuperseded, match="p2"):
        register(desk, FIRST, SILENT)
    known = desk.read(read_hosts.process_of, make.HOST)
    assert (known.epoch, known.process_id) == (2, "p2")


def test_an_older_process_hears_which_one_is_newer_and_one_that_is_not_known_registers_again(desk: Desk) -> None:
    register(desk, FIRST)
    register(desk, replace(SECOND, started_s=200.0))
    with pytest.raises(HostSuperseded, match=r"process p2 on boot boot-1, registered .*kilonova host adopt h1"):
        desk.read(fencing.check_epoch, make.HOST, 1)
    desk.read(fencing.check_epoch, make.HOST, 2)
    for host, epoch in ((make.HOST, 3), ("mars", 1)):  # an older database was restored; an operator forgot the host
        with pytest.raises(StaleWrite) as stale:
            desk.read(fencing.check_epoch, host, epoch)
        assert not isinstance(stale.value, HostSuperseded)


def test_who_has_left_is_followed_at_once_and_cannot_leave_for_another(desk: Desk) -> None:
    register(desk, FIRST)
    desk.write(processes.leave, Leave(make.HOST, 1), desk.now)
    assert register(desk, replace(SECOND, boot_id="boot-2"), ALIVE) == 2
    with pytest.raises(HostSuperseded):
        desk.write(processes.leave, Leave(make.HOST, 1), desk.now)
    with pytest.raises(HostTaken):
        register(desk, replace(SECOND, process_id="p3", boot_id="boot-3"))


def test_an_adopted_host_goes_to_whoever_comes_next_and_is_taken_once(desk: Desk) -> None:
    register(desk, FIRST)
    former = desk.write(processes.adopt, make.HOST, desk.now)
    assert "process p1 on boot boot-1" in fencing.described(former)
    desk.write(processes.adopt, make.HOST, desk.now)  # the reply was lost
    with pytest.raises(HostSuperseded, match="an operator took it away"):
        desk.read(fencing.check_epoch, make.HOST, 1)
    # Its own second try is no proof any more, and needs none.
    assert register(desk, replace(SECOND, boot_id="boot-2")) == 3


def test_an_attempt_is_confirmed_to_its_own_process_only(desk: Desk) -> None:
    desk.register()
    desk.place(desk.create())
    action = desk.fetch("t1").items[0].action

    def confirm(epoch: int, attempt: str) -> None:
        desk.read(processes.confirm_attempt, ConfirmAttempt(make.HOST, epoch, action.leg_id, AttemptId(attempt)))

    confirm(1, "t1")
    with pytest.raises(StaleWrite):
        confirm(1, "t0")
    desk.register(process="process-2")  # which has not asked for work yet
    with pytest.raises(HostSuperseded):
        confirm(1, "t1")


def process(epoch: int, *, up: bool = True) -> HostProcess:
    return HostProcess(epoch, "p1", "boot-1", None, None, None, None, up)


def test_silence_counts_only_while_the_conductor_could_have_heard(tmp_path: Path) -> None:
    async def body() -> None:
        clock = SimClock(1)
        watch = Liveness(clock, down_time_s=60, grace_s=30)
        alone = Liveness(clock, down_time_s=60, grace_s=30, alone=True)

        async def wait(seconds: float) -> None:
            for _ in range(int(seconds / 5)):
                await asyncio.sleep(5)
                watch.may_judge(5)

        assert watch.sign_of_life(make.HOST, process(1)) == Sign(None)
        assert watch.sign_of_life(make.HOST, process(1, up=False)) is None  # an earlier conductor found it silent
        assert alone.sign_of_life(make.HOST, process(1)) is None
        await wait(50)
        assert watch.sign_of_life(make.HOST, process(1)) == Sign(None)
        watch.heard(make.HOST, 1)
        await wait(40)
        assert watch.sign_of_life(make.HOST, process(1)) == Sign(40.0)
        await asyncio.sleep(300)  # the conductor stood still, and so did what it could hear
        assert watch.sign_of_life(make.HOST, process(1)) == Sign(340.0)
        await wait(40)
        assert watch.sign_of_life(make.HOST, process(1)) is not None
        await wait(25)
        assert watch.sign_of_life(make.HOST, process(1)) is None

    run_virtually(body())


def test_a_heartbeat_of_an_older_process_counts_as_no_sign_of_life(desk: Desk) -> None:
    async def body() -> None:
        clock = SimClock(1)
        watch = Liveness(clock, down_time_s=60, grace_s=30)

        async def nothing(_host: HostName) -> None: ...

        hooks = Hooks(lambda _verb: None, nothing, lambda _action: None, lambda: None)
        endpoint = HostEndpoint(Tools(desk.db, clock, QuotaSettings({}), Failpoints()), watch, hooks)
        async with MemoryBus(MemoryHub(), clock) as bus:
            await bus.subscribe(SUBJECT, endpoint.endpoint().handle)
            await bus.subscribe(HEARTBEATS, endpoint.heartbeats().handle)
            host = HostCaller(Caller(bus, clock), make.HOST)
            assert (await host.call(REGISTER_HOST, FIRST)).epoch == 1
            assert (await host.call(REGISTER_HOST, replace(SECOND, started_s=200.0))).epoch == 2
            await asyncio.sleep(70)
            await host.cast(HEARTBEAT, Heartbeat(make.HOST, 1))
            await asyncio.sleep(0.1)
            assert not watch.is_fresh(make.HOST, 2)
            await host.cast(HEARTBEAT, Heartbeat(make.HOST, 2))
            await asyncio.sleep(0.1)
            assert watch.is_fresh(make.HOST, 2)
            await Caller(bus, clock).cast(HEARTBEAT, Heartbeat(make.HOST, 3), "other")  # which is not the sender's name
            await asyncio.sleep(0.1)
            assert watch.is_fresh(make.HOST, 2)

    run_virtually(body())


def test_a_heartbeat_of_an_older_process_that_was_let_through_late_counts_nothing() -> None:
    async def body() -> None:
        watch = Liveness(SimClock(1), down_time_s=60, grace_s=30)
        watch.registered(make.HOST, 2)
        watch.heard(make.HOST, 1)
        assert watch.is_fresh(make.HOST, 2)
        watch.registered(make.HOST, 1)  # an operator has forgotten the host meanwhile
        assert watch.is_fresh(make.HOST, 1)

    run_virtually(body())


def test_a_refused_process_is_news_once_and_counts_for_its_time(desk: Desk) -> None:
    register(desk, FIRST)
    claims = [
        desk.write(processes.refused, one, desk.now) for one in (SECOND, SECOND, replace(SECOND, process_id="p3"))
    ]
    assert claims == [True, False, True]
    late = desk.now + adoption.KEPT + timedelta(seconds=1)
    with pytest.raises(Conflict, match="No other process has tried to register host h1"):
        desk.write(adoption.adopt, make.HOST, late)
    adopted = desk.write(adoption.adopt, make.HOST, desk.now)
    assert "process p1 on boot boot-1" in adopted.former
    assert "process p3 on boot boot-1" in adopted.claimant
    desk.write(adoption.adopt, make.HOST, late)  # the reply was lost
    assert epoch_of(desk) == 2


def epoch_of(desk: Desk) -> int:
    known = desk.read(read_hosts.process_of, make.HOST)
    assert known is not None
    return known.epoch


COPY = replace(SECOND, boot_id="boot-2", state_id="8:2")
CONTEST = Contest(make.HOST, 1, "p1", "boot-1", newer=2)


def test_two_live_processes_of_one_identity_both_lose_the_host_until_an_operator_decides(desk: Desk) -> None:
    desk.register()
    first = replace(FIRST, process_id="process-1", boot_id="boot")
    register(desk, replace(COPY, process_id="p2"), SILENT)
    contest = replace(CONTEST, process_id="process-1", boot_id="boot")
    conflict = desk.write(conflicts.contest, contest, desk.now).conflict
    assert "process process-1 on boot boot, and process p2 on boot boot-2" in conflict
    assert desk.write(conflicts.contest, contest, desk.now).conflict == conflict
    for epoch in (1, 2):
        with pytest.raises(HostSuperseded) as lost:
            desk.read(fencing.check_epoch, make.HOST, epoch)
        assert lost.value.message == conflict
    for one in (first, COPY):
        with pytest.raises(HostSuperseded, match="two live processes"):
            register(desk, one, SILENT)
    service = desk.node().service
    assert (service.up, service.disabled, service.disabled_reason) == (False, True, conflict[:255])
    assert desk.write(adoption.adopt, make.HOST, desk.now).former.startswith("both of two live processes")
    assert register(desk, first, ALIVE) == 4
    assert (desk.node().service.up, desk.node().service.disabled) == (True, False)
    assert desk.write(conflicts.contest, replace(contest, epoch=2, newer=4), desk.now).conflict == ""


def test_a_process_that_was_replaced_for_another_reason_than_its_silence_is_no_conflict(desk: Desk) -> None:
    register(desk, FIRST)
    register(desk, replace(SECOND, started_s=200.0))  # it holds the lock
    assert desk.write(conflicts.contest, CONTEST, desk.now).conflict == ""
    desk.write(processes.leave, Leave(make.HOST, 2), desk.now)
    register(desk, replace(COPY, process_id="p3"), SILENT)  # the second has left
    assert desk.write(conflicts.contest, replace(CONTEST, epoch=2, newer=3), desk.now).conflict == ""
    register(desk, replace(COPY, process_id="p4", boot_id="boot-4"), SILENT)
    unproved = replace(CONTEST, epoch=3, newer=3)  # it may have been sent before the newer process registered
    assert desk.write(conflicts.contest, unproved, desk.now).conflict == ""
    desk.write(processes.adopt, make.HOST, desk.now)  # an operator has decided
    assert desk.write(conflicts.contest, replace(CONTEST, epoch=3, newer=4), desk.now).conflict == ""


def test_a_process_that_registered_with_another_conductor_a_moment_ago_is_alive() -> None:
    async def body() -> None:
        watch = Liveness(SimClock(1), down_time_s=60, grace_s=30)
        for _ in range(100):
            await asyncio.sleep(5)
            watch.may_judge(5)
            watch.note([])
        assert watch.sign_of_life(make.HOST, process(7)) == Sign(None)

    run_virtually(body())
