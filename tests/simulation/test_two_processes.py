# SPDX-License-Identifier: Apache-2.0
"""Two processes of one identity: a cloned disk, a restored backup, a process that stood still.  One of them works."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kilonova.base.errors import Conflict, HostSuperseded, HostTaken, HypervisorError
from kilonova.db.readers import hosts as read_hosts
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.states import PowerState
from kilonova.rpc.memory import Fate, MemoryBus
from kilonova.rpcapi.api_to_conductor_admin import ADOPT_HOST, Adopted, AdoptHost
from kilonova.rpcapi.caller import Caller
from tests.simulation.test_lost_and_doubled import Story, settled
from tests.simulation.test_outages import in_service
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated

A = HostName("a")


def play(tmp_path: Path, test: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        async with simulated(3, tmp_path, hosts=("a",), loss=0, doubling=0.1) as world:
            await in_service(world, "a", True)
            await test(world)

    run_virtually(main())


async def epoch(world: World) -> int:
    known = await world.db.read(read_hosts.process_of, A)
    assert known is not None
    return known.epoch


async def reached(world: World, wanted: int, within_s: float) -> None:
    async def it_is() -> bool:
        return await epoch(world) == wanted

    await world.until(it_is, within_s=within_s)


async def has_ended(world: World, host: str, within_s: float) -> None:
    async def it_has() -> bool:
        return world.hosts[host].ended is not None

    await world.until(it_has, within_s=within_s)


async def adopt(world: World) -> Adopted:
    async with MemoryBus(world.hub, world.clock) as bus:
        try:
            return await Caller(bus, world.clock).call(ADOPT_HOST, AdoptHost(A))
        except Conflict as exc:
            refusal = exc
    raise refusal


async def created(world: World, count: int) -> list[InstanceId]:
    told = Story(world, 3)
    image_id = await told.image()
    for n in range(count):
        await told.create(f"s{n}", image_id)
    return [InstanceId(one) for one in told.expected]


async def statuses(world: World) -> set[str]:
    listed = (await world.http.get("/compute/v2.1/servers/detail")).json()["servers"]
    return {server["status"] for server in listed}


@pytest.mark.parametrize("restarted", [False, True], ids=["a conductor that runs", "a conductor that has just started"])
def test_a_copy_is_refused_while_the_first_lives_and_ends_by_itself(tmp_path: Path, restarted: bool) -> None:
    async def test(world: World) -> None:
        if restarted:
            await world.conductor.kill()
        world.add_host("copy", identity="a")
        if restarted:
            await world.clock.sleep(9)
            world.conductor.start()
        servers = await created(world, 8)
        await has_ended(world, "copy", within_s=120)
        refusal = world.hosts["copy"].ended
        assert isinstance(refusal, HostTaken)
        assert "boot-a-1" in refusal.message
        assert "boot-copy-1" in refusal.message
        await world.until(lambda: settled(world), within_s=300)
        assert set(world.machines["a"].guests) == set(servers)
        assert world.machines["copy"].guests == {}
        assert (await statuses(world), await epoch(world), world.hosts["a"].ended) == ({"ACTIVE"}, 1, None)

    play(tmp_path, test)


def test_an_operator_gives_the_host_to_the_copy_and_the_first_ends_and_keeps_its_guests(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        servers = await created(world, 2)
        await world.until(lambda: settled(world), within_s=300)
        with pytest.raises(Conflict, match="No other process has tried to register host a"):
            await adopt(world)
        world.add_host("copy", identity="a")
        await has_ended(world, "copy", within_s=120)
        world.hub.fate = lambda subject: Fate(()) if subject == "compute.a" else world.network.fate(subject)
        adopted = await adopt(world)
        assert "boot-a-1" in adopted.former
        assert "boot-copy-1" in adopted.claimant
        await has_ended(world, "a", within_s=2 * world.settings.default.report_interval)  # by its heartbeat alone
        assert isinstance(world.hosts["a"].ended, HostSuperseded)
        world.hub.fate = world.network.fate
        world.hosts["copy"].start()
        await reached(world, 3, within_s=5)
        assert {guest.power for guest in world.machines["a"].guests.values()} == {PowerState.RUNNING}
        assert set(world.machines["a"].guests) == set(servers)
        (later,) = await created(world, 1)
        await world.until(lambda: settled(world), within_s=300)
        assert later in world.machines["copy"].guests
        assert later not in world.machines["a"].guests
        # The first, started again by somebody, is now the second.
        world.hosts["a"].start()
        await has_ended(world, "a", within_s=120)
        assert (await epoch(world), world.hosts["copy"].ended) == (3, None)

    play(tmp_path, test)


def test_a_process_that_stood_still_removes_nothing_that_its_successor_has_made(tmp_path: Path) -> None:
    """Both on one hypervisor: a state directory was copied on its machine, or guests lie on shared storage."""

    async def test(world: World) -> None:
        machine, blocked, thawed = world.machines["a"], asyncio.Event(), asyncio.Event()

        async def stand_still(call: str, _guest: object) -> None:
            if call == "define" and not blocked.is_set():
                blocked.set()
                await thawed.wait()
                raise HypervisorError("operation failed: domain is defined already")

        machine.before_call = stand_still
        (server_id,) = await created(world, 1)
        await blocked.wait()
        world.unreachable.add("a")
        await world.clock.sleep(1.5 * world.settings.default.service_down_time)
        first = machine.drivers[0]
        world.add_host("copy", identity="a")
        world.machines["copy"] = machine
        await reached(world, 2, within_s=30)
        await world.until(lambda: settled(world), within_s=300)
        assert await statuses(world) == {"ACTIVE"}
        assert first in machine.drivers
        thawed.set()
        await world.clock.sleep(30)  # it would clean up now, and cannot ask anybody whether it may
        assert machine.guests[server_id].power is PowerState.RUNNING
        world.unreachable.clear()
        await has_ended(world, "a", within_s=60)
        await world.clock.sleep(300)
        assert isinstance(world.hosts["a"].ended, HostSuperseded)
        assert isinstance(world.hosts["copy"].ended, HostSuperseded)  # both lived: an operator decides
        assert (machine.guests[server_id].power, machine.guests[server_id].starts) == (PowerState.RUNNING, 1)
        assert (await statuses(world), await epoch(world)) == ({"ACTIVE"}, 3)

    play(tmp_path, test)


def test_what_is_in_hand_stops_before_its_next_step_when_the_host_is_anothers(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        blocked, go_on, calls = asyncio.Event(), asyncio.Event(), list[str]()

        async def hold(call: str, _guest: object) -> None:
            calls.append(call)
            if call == "define" and not blocked.is_set():
                blocked.set()
                await go_on.wait()

        world.machines["a"].before_call = hold
        await created(world, 1)
        await blocked.wait()
        world.add_host("copy", identity="a")
        await has_ended(world, "copy", within_s=120)
        await adopt(world)
        await world.clock.sleep(1)
        del calls[:]
        go_on.set()
        await has_ended(world, "a", within_s=5)
        assert not {"power_on", "destroy", "undefine", "remove_disks"} & set(calls)

    play(tmp_path, test)


def test_a_process_that_was_killed_is_followed_at_once_on_the_same_boot(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        for count in range(2, 5):
            await world.hosts["a"].kill()
            world.hosts["a"].start()
            await reached(world, count, within_s=2)

    play(tmp_path, test)


def test_after_a_power_cut_the_host_waits_for_the_silence_of_its_former_process(tmp_path: Path) -> None:
    """The conductor cannot tell it from a copy that starts while the first one lives."""

    async def test(world: World) -> None:
        await world.hosts["a"].kill()
        world.boots["a"] += 1
        world.hosts["a"].start()
        await world.clock.sleep(5)
        assert world.managers["a"].ready() == (False, world.managers["a"].ready()[1])
        assert "has another process" in world.managers["a"].ready()[1]
        await reached(world, 2, within_s=world.settings.default.service_down_time + 15)
        assert world.hosts["a"].ended is None

    play(tmp_path, test)


def test_after_an_end_in_order_nobody_waits(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.managers["a"].drain(1)
        await world.clock.sleep(2 * world.settings.default.report_interval)  # no heartbeat takes it back
        await world.hosts["a"].kill()
        await world.conductor.kill()
        world.conductor.start()
        world.boots["a"] += 1
        world.hosts["a"].start()
        await reached(world, 2, within_s=2)

    play(tmp_path, test)
