# SPDX-License-Identifier: Apache-2.0
"""Guests that do not respond, or cannot be read: each is a matter of its own."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from kilonova.base.errors import HypervisorUnavailable
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from tests.simulation.test_outages import create, image, in_service
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated

SYNC_S = 1300.0
"""Two rounds of the bulk read, which says nothing new of a frozen guest."""


def play(tmp_path: Path, count: int, test: Callable[[World, list[str]], Awaitable[None]]) -> None:
    async def main() -> None:
        async with simulated(11, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            await in_service(world, "a", True)
            image_id = await image(world)
            servers = [await create(world, f"s{n}", image_id) for n in range(count)]
            for server in servers:
                await shows(world, server, "ACTIVE")
            await world.clock.sleep(10)  # the bulk read of the host's start has ended
            await test(world, servers)

    run_virtually(main())


async def show(world: World, server: str) -> dict[str, Any]:
    return (await world.http.get(f"/compute/v2.1/servers/{server}")).json()["server"]


async def shows(world: World, server: str, status: str) -> dict[str, Any]:
    async def it_does() -> dict[str, Any] | None:
        found = await show(world, server)
        return found if found["status"] == status and found["OS-EXT-STS:task_state"] is None else None

    found = await world.until(it_does, within_s=120)
    assert found is not None
    return found


async def listed(world: World, status: str) -> set[str]:
    reply = await world.http.get("/compute/v2.1/servers", params={"status": status})
    return {server["id"] for server in reply.json()["servers"]}


async def messages(world: World, server: str) -> list[str]:
    reply = await world.http.get(f"/compute/v2.1/servers/{server}/os-instance-actions")
    actions = reply.json()["instanceActions"]
    return [action["message"] for action in actions if action["action"] == "power-update"]


def test_a_frozen_guest_is_shown_as_unknown_and_then_as_itself_again(tmp_path: Path) -> None:
    async def test(world: World, servers: list[str]) -> None:
        ill, well = servers
        machine = world.machines["a"]
        machine.freeze(InstanceId(ill))
        found = await shows(world, ill, "UNKNOWN")
        assert (found["OS-EXT-STS:vm_state"], found["OS-EXT-STS:power_state"]) == ("active", 0)
        assert (await listed(world, "UNKNOWN"), await listed(world, "ACTIVE")) == ({ill}, {well})
        await world.clock.sleep(SYNC_S)
        assert (await show(world, ill))["status"] == "UNKNOWN"
        assert await messages(world, ill) == ["nostate: not responding"]
        machine.freeze(InstanceId(ill), False)
        assert (await shows(world, ill, "ACTIVE"))["OS-EXT-STS:power_state"] == 1
        assert (await messages(world, ill))[0] == "running: booted"

    play(tmp_path, 2, test)


def test_a_frozen_guest_can_be_restarted_stopped_and_deleted(tmp_path: Path) -> None:
    async def test(world: World, servers: list[str]) -> None:
        machine = world.machines["a"]
        for server in servers:
            machine.freeze(InstanceId(server))
            await shows(world, server, "UNKNOWN")
        asked: list[tuple[dict[str, Any], str]] = [
            ({"reboot": {"type": "HARD"}}, "ACTIVE"),
            ({"os-stop": None}, "SHUTOFF"),
        ]
        for server, (body, status) in zip(servers[:2], asked, strict=True):
            reply = await world.http.post(f"/compute/v2.1/servers/{server}/action", json=body)
            assert reply.status_code == 202, reply.text
            await shows(world, server, status)
        assert (await world.http.delete(f"/compute/v2.1/servers/{servers[2]}")).status_code == 204

        async def gone() -> bool:
            return (await world.http.get(f"/compute/v2.1/servers/{servers[2]}")).status_code == 404

        await world.until(gone, within_s=120)
        assert set(machine.guests) == set(servers[:2])

    play(tmp_path, 3, test)


def test_one_guest_that_cannot_be_read_takes_no_other_with_it(tmp_path: Path) -> None:
    async def test(world: World, servers: list[str]) -> None:
        machine = world.machines["a"]
        ill = min(servers)  # it is read first

        async def hook(name: str, guest: InstanceId | None) -> None:
            if name == "guest_state" and guest == ill:
                raise HypervisorUnavailable("An earlier call has not come back.")

        machine.before_call = hook
        for server in servers:
            machine.move(InstanceId(server), PowerState.SHUTDOWN, "destroyed")
        for server in servers:
            if server != ill:
                await shows(world, server, "SHUTOFF")
        assert (await show(world, ill))["status"] == "ACTIVE"
        machine.before_call = None
        await world.clock.sleep(SYNC_S)
        assert (await show(world, ill))["status"] == "SHUTOFF"

    play(tmp_path, 3, test)
