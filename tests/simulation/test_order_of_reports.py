# SPDX-License-Identifier: Apache-2.0
"""What a host has read before an action changes nothing after it; what it reads after the action does, at once."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kilonova.base.errors import HostSuperseded
from kilonova.conductor.engine import reports
from kilonova.conductor.hosts import guests
from kilonova.objects.ids import ActionId, InstanceId
from kilonova.objects.states import SAVED, PowerState
from kilonova.rpc.memory import Fate
from tests.simulation.test_lost_and_doubled import LARGE, Story, settled
from tests.simulation.test_outages import in_service, mend
from tests.simulation.test_truth_after_outages import act, made, record, show
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated

SOON_S = 10.0
"""Much shorter than sync_power_state_interval: no look at all guests corrects anything meanwhile."""
LATE_S = 30.0
REBOOT = {"reboot": {"type": "HARD"}}


def play(tmp_path: Path, test: Callable[[World, str], Awaitable[None]]) -> None:
    """With a server that runs on host a."""

    async def main() -> None:
        async with simulated(3, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            await in_service(world, "a", True)
            (server_id,) = await made(world, Story(world, 3))
            await test(world, server_id)

    run_virtually(main())


class FirstReport:
    """The first report of a guest's state from now on.  It is delivered when the test says so, and if it is `doubled`
    also at once."""

    def __init__(self, world: World, *, doubled: bool) -> None:
        self._write, self._doubled = world.db.write, doubled
        self._arguments: tuple[Any, ...] = ()
        self.arrived = asyncio.Event()
        world.db.write = self._catch  # type: ignore[method-assign]

    async def _catch(self, fn: Any, *args: Any, **words: Any) -> Any:
        if fn is guests.report_states:
            self._arguments = self._arguments or args
            self.arrived.set()
            if args[0] == self._arguments[0] and not self._doubled:
                await asyncio.Event().wait()  # neither it nor a repeat of it
        return await self._write(fn, *args, **words)

    async def deliver(self) -> None:
        request, _ids, now = self._arguments
        await self._write(guests.report_states, request, (ActionId("of the late report"),), now)


async def shows(world: World, server_id: str, status: str, within_s: float = SOON_S) -> None:
    async def it_does() -> bool:
        return (await show(world, server_id))["status"] == status

    await world.until(it_does, within_s=within_s)


async def judge(world: World, server_id: str, status: str) -> None:
    """Now, without any wait."""
    assert (await show(world, server_id))["status"] == status
    kept, guest = await record(world, server_id), world.machines["a"].guests[InstanceId(server_id)]
    assert kept.power_state is guest.power


async def pauses_for_a_moment(world: World, server_id: str, report: FirstReport) -> None:
    """By another tool; the host reports it, and then what the guest was before."""
    guest, status = world.machines["a"].guests[InstanceId(server_id)], (await show(world, server_id))["status"]
    before = guest.power, guest.reason
    world.machines["a"].move(InstanceId(server_id), PowerState.PAUSED, "user")
    await report.arrived.wait()
    await world.clock.sleep(1)
    world.machines["a"].move(InstanceId(server_id), *before)
    await world.clock.sleep(60)
    await judge(world, server_id, status)


SUSPENDED = {"suspend": None}


@pytest.mark.parametrize("doubled", [True, False])
@pytest.mark.parametrize(
    ("before", "body", "status"),
    [
        (None, SUSPENDED, "SUSPENDED"),
        (SUSPENDED, {"resume": None}, "ACTIVE"),
        (None, {"os-stop": None}, "SHUTOFF"),
        ({"os-stop": None}, {"os-start": None}, "ACTIVE"),
        (None, REBOOT, "ACTIVE"),
        (None, {"resize": {"flavorRef": LARGE}}, "VERIFY_RESIZE"),
        (None, {"rescue": {}}, "RESCUE"),
        (None, {"createImage": {"name": "i"}}, "ACTIVE"),
    ],
)
def test_a_report_that_is_older_than_an_action_changes_nothing_after_its_end(
    tmp_path: Path, before: Any, body: Any, status: str, *, doubled: bool
) -> None:
    async def test(world: World, server_id: str) -> None:
        if before is not None:
            await act(world, server_id, before)
            await world.until(lambda: settled(world), within_s=300)
        report = FirstReport(world, doubled=doubled)
        await pauses_for_a_moment(world, server_id, report)
        await act(world, server_id, body)
        await world.until(lambda: settled(world), within_s=300)
        await report.deliver()
        await judge(world, server_id, status)

    play(tmp_path, test)


@pytest.mark.parametrize("doubled", [True, False])
def test_a_report_that_comes_after_the_next_one_changes_nothing(tmp_path: Path, *, doubled: bool) -> None:
    """Also when the next one found what was recorded before."""

    async def test(world: World, server_id: str) -> None:
        report = FirstReport(world, doubled=doubled)
        await pauses_for_a_moment(world, server_id, report)
        await report.deliver()
        await judge(world, server_id, "ACTIVE")

    play(tmp_path, test)


@pytest.mark.parametrize("conductors", [1, 2])
def test_a_message_that_the_bus_delivers_after_the_action_changes_nothing(tmp_path: Path, conductors: int) -> None:
    """Its repeat arrived in time.  With two conductors each of them may get either."""

    async def test(world: World, server_id: str) -> None:
        if conductors == 2:
            world.add_conductor("second")
            await world.clock.sleep(SOON_S)
        world.hub.fate = lambda subject: Fate((LATE_S,)) if "conductor.host" in subject else world.network.fate(subject)
        world.machines["a"].move(InstanceId(server_id), PowerState.PAUSED, "user")
        await world.clock.sleep(1)
        arrives = world.clock.monotonic() + LATE_S
        mend(world)
        await shows(world, server_id, "PAUSED")
        world.machines["a"].move(InstanceId(server_id), PowerState.RUNNING, "unpaused")
        await shows(world, server_id, "ACTIVE")
        await act(world, server_id, SUSPENDED)
        await world.until(lambda: settled(world), within_s=arrives - world.clock.monotonic())
        await world.clock.sleep(arrives - world.clock.monotonic() + 1)
        await judge(world, server_id, "SUSPENDED")

    play(tmp_path, test)


def test_a_report_of_the_hosts_former_process_changes_nothing_and_those_of_the_next_one_do(tmp_path: Path) -> None:
    async def test(world: World, server_id: str) -> None:
        for _ in range(5):  # the numbers of this process become larger than the first ones of the next process
            world.machines["a"].move(InstanceId(server_id), PowerState.PAUSED, "user")
            await shows(world, server_id, "PAUSED")
            world.machines["a"].move(InstanceId(server_id), PowerState.RUNNING, "unpaused")
            await shows(world, server_id, "ACTIVE")
        report = FirstReport(world, doubled=False)
        world.machines["a"].move(InstanceId(server_id), PowerState.PAUSED, "user")
        await report.arrived.wait()
        await world.hosts["a"].kill()
        world.machines["a"].move(InstanceId(server_id), PowerState.RUNNING, "unpaused")
        world.hosts["a"].start()
        await in_service(world, "a", True)
        await world.clock.sleep(SOON_S)
        with pytest.raises(HostSuperseded):
            await report.deliver()
        await judge(world, server_id, "ACTIVE")
        world.machines["a"].crash(InstanceId(server_id))
        await shows(world, server_id, "SHUTOFF")

    play(tmp_path, test)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_guest_that_dies_at_the_end_of_an_action_is_reported_at_once(tmp_path: Path, *, recorded: bool) -> None:
    """After the host has read it for the last time: before that end is recorded, or just after."""

    async def test(world: World, server_id: str) -> None:
        write = world.db.write

        async def dies(fn: Any, *args: Any, **words: Any) -> Any:
            if fn is not reports.finish:
                return await write(fn, *args, **words)
            if not recorded:
                world.machines["a"].crash(InstanceId(server_id))
            result = await write(fn, *args, **words)
            world.machines["a"].crash(InstanceId(server_id))
            return result

        world.db.write = dies  # type: ignore[method-assign]
        await act(world, server_id, REBOOT)
        await shows(world, server_id, "SHUTOFF", within_s=SOON_S + 5)
        await judge(world, server_id, "SHUTOFF")

    play(tmp_path, test)


def test_what_the_end_of_an_action_reported_is_not_reported_again(tmp_path: Path) -> None:
    """The events of the action mark the guest; the read after its end finds what was reported."""

    async def test(world: World, server_id: str) -> None:
        write, count = world.db.write, 0

        async def counted(fn: Any, *args: Any, **words: Any) -> Any:
            nonlocal count
            count += fn is guests.report_states
            return await write(fn, *args, **words)

        world.db.write = counted  # type: ignore[method-assign]
        for body in (REBOOT, SUSPENDED, {"resume": None}, {"pause": None}, {"unpause": None}, {"os-stop": None}):
            await act(world, server_id, body)
            await world.until(lambda: settled(world), within_s=300)
        await world.clock.sleep(SOON_S)
        assert count == 0
        world.machines["a"].move(InstanceId(server_id), PowerState.SUSPENDED, SAVED)
        await shows(world, server_id, "SUSPENDED")
        assert count == 1

    play(tmp_path, test)
