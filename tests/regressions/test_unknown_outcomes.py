# SPDX-License-Identifier: Apache-2.0
"""A create whose replies were lost was answered 503 with Retry-After, and a server came of it all the same: whoever did
as he was told had two."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from kilonova.rpc.memory import Fate
from tests.simulation.test_outages import image
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated

LOST = Fate(())
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def play(tmp_path: Path, test: Callable[[World, str], Awaitable[None]]) -> None:
    async def main() -> None:
        async with simulated(7, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            await test(world, await image(world))

    run_virtually(main())


def lose(world: World, prefix: str) -> None:
    """Messages to such subjects do not arrive."""
    usual = world.network.fate
    world.hub.fate = lambda subject: LOST if subject.startswith(prefix) else usual(subject)


def mend(world: World) -> None:
    world.hub.fate = world.network.fate


async def create(world: World, image_id: str, headers: dict[str, str] | None = None) -> httpx.Response:
    server = {"name": "s", "imageRef": image_id, "flavorRef": "1", "networks": "auto"}
    return await world.http.post("/compute/v2.1/servers", json={"server": server}, headers=headers)


async def names(world: World) -> list[str]:
    return [one["id"] for one in (await world.http.get("/compute/v2.1/servers")).json()["servers"]]


def test_a_create_whose_reply_is_lost_is_answered_as_unknown(tmp_path: Path) -> None:
    async def test(world: World, image_id: str) -> None:
        lose(world, "reply.conductor.api")
        reply = await create(world, image_id)
        assert reply.status_code == 504, reply.text
        assert "Retry-After" not in reply.headers
        fault = reply.json()["computeFault"]
        assert reply.headers["x-openstack-request-id"] in fault["message"]
        assert "may have been carried out" in fault["message"]
        mend(world)
        assert len(await names(world)) == 1  # it was

    play(tmp_path, test)


def test_with_a_key_it_may_be_sent_again_and_is_the_same(tmp_path: Path) -> None:
    async def test(world: World, image_id: str) -> None:
        lose(world, "reply.conductor.api")
        reply = await create(world, image_id, KEY)
        assert (reply.status_code, "Retry-After" in reply.headers) == (504, True)
        mend(world)
        again = await create(world, image_id, KEY)
        assert again.status_code == 202
        assert await names(world) == [again.json()["server"]["id"]]

    play(tmp_path, test)


def test_a_delete_may_be_sent_again_in_any_case(tmp_path: Path) -> None:
    async def test(world: World, image_id: str) -> None:
        server = (await create(world, image_id)).json()["server"]["id"]
        lose(world, "reply.conductor.api")
        reply = await world.http.delete(f"/compute/v2.1/servers/{server}")
        assert (reply.status_code, "Retry-After" in reply.headers) == (504, True)

    play(tmp_path, test)


def test_a_create_that_nobody_heard_of_is_refused_and_may_be_sent_again(tmp_path: Path) -> None:
    async def test(world: World, image_id: str) -> None:
        await world.conductor.kill()
        reply = await create(world, image_id)
        assert (reply.status_code, "Retry-After" in reply.headers) == (503, True)
        world.conductor.start()
        await world.clock.sleep(60)
        assert await names(world) == []

    play(tmp_path, test)
