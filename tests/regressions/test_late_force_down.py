# SPDX-License-Identifier: Apache-2.0
"""A conductor stood still while an operator forced a host down, and carried the request out after another conductor had
done so, and the operator had taken the host back: the host was down again, and its work abandoned (seed 937)."""

import asyncio
from pathlib import Path

from kilonova.db.readers import hosts as read_hosts
from kilonova.rpc.memory import Fate
from kilonova.rpcapi.api_to_conductor import SUBJECT
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated


def test_a_late_copy_of_a_force_down_changes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with simulated(1, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            await world.until(lambda: _is_up(world), within_s=60)
            world.hub.fate = _also_late
            await _force_down(world, forced=True)
            world.hub.fate = None
            assert not await _is_up(world)
            await _force_down(world, forced=False)
            await asyncio.sleep(120)
            assert await _is_up(world)
            await _force_down(world, forced=True)
            assert not await _is_up(world)

    run_virtually(main())


def _also_late(subject: str) -> Fate:
    return Fate((0.0, 60.0)) if subject == SUBJECT else Fate()


async def _is_up(world: World) -> bool:
    services = await world.db.read(read_hosts.list_services, binary=read_hosts.COMPUTE)
    return all(service.up and not service.forced_down for service in services) and bool(services)


async def _force_down(world: World, *, forced: bool) -> None:
    (service,) = await world.db.read(read_hosts.list_services, binary=read_hosts.COMPUTE)
    reply = await world.http.put(f"/compute/v2.1/os-services/{service.id}", json={"forced_down": forced})
    assert reply.status_code == 200, reply.text
