# SPDX-License-Identifier: Apache-2.0
"""What os-services shows as the time of a service follows its heartbeats, though no record does."""

import asyncio
from datetime import datetime
from pathlib import Path

from tests.simulation.test_outages import in_service
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated

HOUR = 3600.0


async def shown(world: World) -> datetime:
    """The host's time, in the hours since which it has done nothing but beat."""
    reply = await world.http.get("/compute/v2.1/os-services", params={"binary": "nova-compute"})
    (service,) = reply.json()["services"]
    return datetime.fromisoformat(service["updated_at"])


def age_s(world: World, at: datetime) -> float:
    return (world.clock.now().replace(tzinfo=None) - at).total_seconds()


def test_the_time_of_a_service_is_that_of_its_last_heartbeat(tmp_path: Path) -> None:
    async def main() -> None:
        async with simulated(12, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            await in_service(world, "a", True)
            for _ in range(2):
                await asyncio.sleep(HOUR)
                assert age_s(world, await shown(world)) <= world.settings.default.report_interval + 1
            await world.hosts["a"].kill()
            last = await shown(world)
            await asyncio.sleep(HOUR)
            assert await shown(world) == last  # and not the time at which it was called down
            await world.conductor.kill()
            assert await shown(world) == last  # nobody answers: the record's

    run_virtually(main())
