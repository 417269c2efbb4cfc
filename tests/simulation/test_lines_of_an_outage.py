# SPDX-License-Identifier: Apache-2.0
"""A long outage with many actions under way is one line at its begin and one at its end, however many actions wait."""

from collections import Counter
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from tests.simulation.test_outages import create, cut, image, in_service, lose, mend
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated

SERVERS = 20
OUTAGE_S = 420.0
OF_EACH_REQUEST = ("request", "action ended")


async def all_at_rest(world: World) -> None:
    async def they_are() -> bool:
        found = (await world.http.get("/compute/v2.1/servers/detail")).json()["servers"]
        return len(found) == SERVERS and all(server["OS-EXT-STS:task_state"] is None for server in found)

    await world.until(they_are, within_s=600)


async def stop_all(world: World) -> None:
    for server in (await world.http.get("/compute/v2.1/servers")).json()["servers"]:
        reply = await world.http.post(f"/compute/v2.1/servers/{server['id']}/action", json={"os-stop": None})
        assert reply.status_code == 202, reply.text


def lines(said: Sequence[MutableMapping[str, Any]]) -> Counter[str]:
    """What is shown at the default level, besides the lines that each request has without an outage, too."""
    shown = (line["event"] for line in said if line["log_level"] != "debug")
    return Counter(event for event in shown if event not in OF_EACH_REQUEST)


def play(tmp_path: Path, *, conductor: bool) -> Counter[str]:
    """The lines from the loss of the hypervisor, or of the conductor, until all is done."""

    async def main() -> Counter[str]:
        async with simulated(7, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            await in_service(world, "a", True)
            image_id = await image(world)
            for n in range(SERVERS):
                await create(world, f"s{n}", image_id)
            await all_at_rest(world)
            with capture_logs() as said:
                if conductor:
                    await stop_all(world)
                    cut(world)
                else:
                    lose(world, "a")
                    await stop_all(world)
                await world.clock.sleep(OUTAGE_S)
                mend(world)
                world.machines["a"].come_back()
                await all_at_rest(world)
                await world.clock.sleep(60)
            return lines(said)

    return run_virtually(main())


def test_many_actions_wait_for_the_hypervisor(tmp_path: Path) -> None:
    said = play(tmp_path, conductor=False)
    assert (said["waiting for the hypervisor"], said["the hypervisor answers again"]) == (1, 1), said
    assert said.total() < 10, said


def test_many_actions_wait_for_the_conductor(tmp_path: Path) -> None:
    said = play(tmp_path, conductor=True)
    assert (said["waiting for the conductor"], said["the conductor answers again"]) == (1, 1), said
    assert said.total() < 10, said
