# SPDX-License-Identifier: Apache-2.0
"""A host loses power: what should run is started again, few at a time, however messages are lost."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kilonova.objects.states import PowerState
from tests.simulation.test_lost_and_doubled import Story, settled
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated

SERVERS = 8


async def loses_power(world: World, name: str) -> None:
    """The machine and all that ran on it; it has booted again when this returns."""
    machine = world.machines[name]
    await world.hosts[name].kill()
    machine.drivers.clear()
    machine.lose_power()
    world.boots[name] += 1
    world.hosts[name].start()


class Watch:
    """Counts how many starts are in hand at a time."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def __call__(self, call: str, _guest: object) -> None:
        self.now += call == "define"
        self.most = max(self.most, self.now)
        self.now -= call == "power_on"


async def story(seed: int, state: Path) -> None:
    async with simulated(seed, state, hosts=("a",), loss=0.05, doubling=0.05) as world:
        told = Story(world, seed)

        async def here() -> Any:
            return (await world.http.get("/compute/v2.1/os-hypervisors")).json()["hypervisors"]

        await world.until(here, within_s=60)
        image_id = await told.image()
        for n in range(SERVERS):
            await told.create(f"server-{n}", image_id)
        await world.until(lambda: settled(world), within_s=600)
        stopped, itself, *others = sorted(told.expected)
        await told.post(f"/compute/v2.1/servers/{stopped}/action", {"os-stop": None}, 202)
        await world.until(lambda: settled(world), within_s=600)
        world.machines["a"].move(itself, PowerState.SHUTDOWN, "shutdown")
        await world.until(lambda: off(world, itself), within_s=300)
        watch = world.machines["a"].before_call = Watch()
        await loses_power(world, "a")
        guests = world.machines["a"].guests
        await world.until(lambda: all_run(world, others), within_s=600)
        await world.until(lambda: settled(world), within_s=600)
        await loses_nothing(world)
        assert {i: guest.starts for i, guest in guests.items()} == {stopped: 1, itself: 1} | dict.fromkeys(others, 2)
        assert guests[stopped].power is guests[itself].power is PowerState.SHUTDOWN  # type: ignore[index]
        assert 1 <= watch.most <= world.settings.default.max_concurrent_resumes
        actions = f"/compute/v2.1/servers/{others[0]}/os-instance-actions"
        assert [a["action"] for a in (await world.http.get(actions)).json()["instanceActions"]] == ["start", "create"]


async def off(world: World, server_id: str) -> bool:
    return (await world.http.get(f"/compute/v2.1/servers/{server_id}")).json()["server"]["status"] == "SHUTOFF"


async def all_run(world: World, servers: list[str]) -> bool:
    guests = world.machines["a"].guests
    return all(guests[i].power is PowerState.RUNNING for i in servers)  # type: ignore[index]


async def loses_nothing(world: World) -> None:
    """The service alone is restarted, on the same boot: nothing is started again."""
    await world.hosts["a"].kill()
    world.hosts["a"].start()
    await world.clock.sleep(300)


@pytest.mark.parametrize("seed", range(3))
def test_a_host_that_rebooted_starts_what_should_run(seed: int, tmp_path: Path) -> None:
    run_virtually(story(seed, tmp_path))


def test_power_lost_between_a_start_and_its_report_loses_no_guest(tmp_path: Path) -> None:
    """The guest has the create's own mark and is off: not because it wanted to."""

    async def main() -> None:
        async with simulated(3, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            image_id = await Story(world, 3).image()
            machine, started = world.machines["a"], asyncio.Event()

            async def stop_the_world(call: str, _guest: object) -> None:
                if call == "guest_state" and any(guest.starts for guest in machine.guests.values()):
                    started.set()
                    await asyncio.Event().wait()

            machine.before_call = stop_the_world
            told = Story(world, 3)
            await told.create("s1", image_id)
            (server_id,) = told.expected
            async with asyncio.timeout(60):
                await started.wait()
            machine.before_call = None
            await loses_power(world, "a")
            await world.until(lambda: settled(world), within_s=600)
            shown = (await world.http.get(f"/compute/v2.1/servers/{server_id}")).json()["server"]
            guest = machine.guests[server_id]  # type: ignore[index]
            assert (shown["status"], guest.power, guest.starts) == ("ACTIVE", PowerState.RUNNING, 2)

    run_virtually(main())
