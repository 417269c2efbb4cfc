# SPDX-License-Identifier: Apache-2.0
"""Somebody puts the wall clock back by an hour, or forward by a day, while servers are being built."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kilonova.base.errors import DatabaseUnavailable
from kilonova.conductor.watch import deadlines
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.objects.states import VERBS, Verb
from tests.simulation.test_outages import in_service
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated

JUMPS = [timedelta(hours=-1), timedelta(days=1)]


async def server(world: World, server_id: str) -> dict[str, Any]:
    return (await world.http.get(f"/compute/v2.1/servers/{server_id}")).json()["server"]


async def create(world: World, image_id: str) -> str:
    body = {"name": "s", "imageRef": image_id, "flavorRef": "1", "networks": "none"}
    reply = await world.http.post("/compute/v2.1/servers", json={"server": body})
    assert reply.status_code == 202, reply.text
    return reply.json()["server"]["id"]


async def becomes(world: World, server_id: str, status: str, within_s: float) -> None:
    async def it_is() -> bool:
        return (await server(world, server_id))["status"] == status

    await world.until(it_is, within_s=within_s)


def freeze(world: World) -> asyncio.Event:
    """Calls of the driver wait until this is set."""
    thawed = asyncio.Event()

    async def wait(_call: str, _guest: object) -> None:
        await thawed.wait()

    world.machines["a"].before_call = wait
    return thawed


async def image(world: World) -> str:
    fields = {"name": "image", "disk_format": "raw", "container_format": "bare"}
    image_id: str = (await world.http.post("/image/v2/images", json=fields)).json()["id"]
    headers = {"Content-Type": "application/octet-stream"}
    put = await world.http.put(f"/image/v2/images/{image_id}/file", content=bytes(1 << 20), headers=headers)
    assert put.status_code == 204
    return image_id


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_a_build_goes_on_and_its_deadline_stays_as_far_away(tmp_path: Path, jump: timedelta) -> None:
    async def main() -> None:
        async with simulated(3, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            await in_service(world, "a", True)
            image_id = await image(world)
            thawed = freeze(world)  # so that both builds are still going on
            before = await create(world, image_id)
            await world.clock.sleep(20)
            world.clock.jumped = jump
            await world.clock.sleep(0.1)
            after = await create(world, image_id)  # accepted before anybody noticed
            await world.clock.sleep(30)
            patience = timedelta(seconds=VERBS[Verb.CREATE].deadline_s)
            for action in await world.db.read(read_actions.all_open):
                left = action.deadline - world.clock.now()
                gone = timedelta(seconds=50.1 if action.instance_id == before else 30)
                # (the moments since the last look are not counted)
                assert abs(left - (patience - gone)) < timedelta(seconds=7), (action.verb, left)
            assert (await server(world, before))["status"] == "BUILD"
            thawed.set()
            await becomes(world, before, "ACTIVE", within_s=60)
            await becomes(world, after, "ACTIVE", within_s=60)

    run_virtually(main())


def test_a_jump_that_could_not_be_recorded_is_not_forgotten(tmp_path: Path) -> None:
    """A machine wakes up, and its disk a moment later."""

    async def main() -> None:
        async with simulated(3, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            await in_service(world, "a", True)
            thawed = freeze(world)
            one = await create(world, await image(world))
            await world.clock.sleep(20)
            write, refused = world.db.write, list[str]()

            async def refuse(fn: Any, *args: Any, **words: Any) -> Any:
                if fn is deadlines.count_time and len(refused) < 2:
                    refused.append("The disk is not there yet.")
                    raise DatabaseUnavailable(refused[-1])
                return await write(fn, *args, **words)

            world.db.write = refuse  # type: ignore[method-assign]
            world.clock.jumped = timedelta(days=1)
            await world.clock.sleep(60)
            assert len(refused) == 2
            assert (await server(world, one))["status"] == "BUILD"
            thawed.set()
            await becomes(world, one, "ACTIVE", within_s=60)

    run_virtually(main())


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_hosts_stay_up_and_what_is_late_still_ends(tmp_path: Path, jump: timedelta) -> None:
    async def main() -> None:
        async with simulated(4, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            await in_service(world, "a", True)
            image_id = await image(world)
            built = await create(world, image_id)
            await becomes(world, built, "ACTIVE", within_s=60)
            await world.hosts["a"].kill()
            stuck = await create(world, image_id)
            await world.clock.sleep(5)
            world.clock.jumped = jump
            await world.clock.sleep(15)
            (service,) = await world.db.read(read_hosts.list_services, host="a", binary=read_hosts.COMPUTE)
            assert service.up, "silence is measured by the clock that does not jump"
            assert (await server(world, stuck))["status"] == "BUILD"
            await world.clock.sleep(VERBS[Verb.CREATE].deadline_s)
            await becomes(world, stuck, "ERROR", within_s=30)
            listed = (await world.http.get("/compute/v2.1/servers")).json()["servers"]
            assert {one["id"] for one in listed} == {built, stuck}

    run_virtually(main())
