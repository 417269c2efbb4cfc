# SPDX-License-Identifier: Apache-2.0
"""Work that takes long, or never ends, holds up nothing but itself."""

import asyncio
from pathlib import Path

from kilonova.base.errors import HypervisorUnavailable
from kilonova.objects.ids import InstanceId
from tests.simulation.test_host_boot import all_run, loses_power
from tests.simulation.test_lost_and_doubled import LARGE, Story, settled
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated


async def box(world: World, servers: int) -> Story:
    """One host with so many servers that run."""
    told = Story(world, world.seed)
    image_id = await told.image()
    for n in range(servers):
        await told.create(f"server-{n}", image_id)
    await world.until(lambda: settled(world), within_s=300)
    return told


def test_starts_whose_calls_never_come_back_keep_no_other_guest_from_starting(tmp_path: Path) -> None:
    """After the host's boot; as many as may be started at a time."""

    async def main() -> None:
        async with simulated(3, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            told = await box(world, 8)
            most = world.settings.default.max_concurrent_resumes
            stuck, others = sorted(told.expected)[:most], sorted(told.expected)[most:]

            async def hang(call: str, guest: object) -> None:
                if call == "power_on" and guest in stuck:
                    raise HypervisorUnavailable("An earlier call has not come back.", host="a")

            world.machines["a"].before_call = hang
            await loses_power(world, "a")
            await world.until(lambda: all_run(world, others), within_s=300)
            world.machines["a"].before_call = None
            await world.until(lambda: all_run(world, stuck), within_s=60)
            await world.until(lambda: settled(world), within_s=60)

    run_virtually(main())


def test_a_delete_does_not_wait_for_the_copy_of_a_large_disk(tmp_path: Path) -> None:
    async def main() -> None:
        async with simulated(3, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            (server_id,) = (await box(world, 1)).expected
            copying = asyncio.Event()

            async def slow(call: str, _guest: object) -> None:
                if call == "keep_disk":
                    copying.set()
                    await asyncio.sleep(2900)

            world.machines["a"].before_call = slow
            path = f"/compute/v2.1/servers/{server_id}"
            reply = await world.http.post(f"{path}/action", json={"resize": {"flavorRef": LARGE}})
            assert reply.status_code == 202
            await copying.wait()
            assert (await world.http.delete(path)).status_code == 204
            await world.until(lambda: settled(world), within_s=60)
            assert (await world.http.get(path)).status_code == 404
            assert InstanceId(server_id) not in world.machines["a"].guests

    run_virtually(main())
