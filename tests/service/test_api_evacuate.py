# SPDX-License-Identifier: Apache-2.0
"""evacuate, as a client sees it: refused until the host is given up, then the server is built again elsewhere."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.service.api import message
from tests.simulation.test_conductors import goes_down
from tests.simulation.test_gone import forget
from tests.simulation.test_lost_and_doubled import Story, settled
from tests.simulation.test_outages import in_service
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated

KEPT = ("id", "name", "metadata", "flavor", "image", "user_id", "OS-EXT-SRV-ATTR:user_data", "addresses", "tags")


def play(state: Path, test: Callable[[World, str], Awaitable[None]]) -> None:
    """One server, on host a; then host b starts."""

    async def main() -> None:
        async with simulated(5, state, hosts=("a",), loss=0, doubling=0) as world:
            await in_service(world, "a", True)
            image_id = await Story(world, 5).image()
            server = {"name": "s", "imageRef": image_id, "flavorRef": "1", "networks": "auto"}
            server |= {"metadata": {"k": "v"}, "user_data": "aGVsbG8="}
            reply = await world.http.post("/compute/v2.1/servers", json={"server": server})
            assert reply.status_code == 202, reply.text
            await world.until(lambda: settled(world), within_s=120)
            world.add_host("b")
            await in_service(world, "b", True)
            await test(world, reply.json()["server"]["id"])

    run_virtually(main())


async def act(world: World, server_id: str, body: Any, version: str = "2.90") -> Any:
    headers = {"OpenStack-API-Version": f"compute {version}"}
    return await world.http.post(f"/compute/v2.1/servers/{server_id}/action", json=body, headers=headers)


async def show(world: World, server_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = (await world.http.get(f"/compute/v2.1/servers/{server_id}")).json()["server"]
    return shown


async def refused(world: World, server_id: str, body: Any, version: str = "2.90", status: int = 400) -> str:
    key = {400: "badRequest", 404: "itemNotFound", 409: "conflictingRequest"}[status]
    return message(await act(world, server_id, {"evacuate": body}, version), status, key)


async def given_up(world: World, host: str) -> None:
    await world.hosts[host].kill()
    await goes_down(world, host, within_s=300)
    await forget(world, host)


def test_it_is_refused_until_the_host_is_given_up(tmp_path: Path) -> None:
    async def test(world: World, server_id: str) -> None:
        assert "still in use" in await refused(world, server_id, {})
        await world.hosts["a"].kill()
        await goes_down(world, "a", within_s=300)
        words = await refused(world, server_id, {})
        assert "kilonova host forget a" in words
        assert "same one" in await refused(world, server_id, {"host": "a"})
        assert "not found" in await refused(world, server_id, {"host": "mars"}, status=404)
        assert (await show(world, server_id))["status"] == "ACTIVE"

    play(tmp_path, test)


def test_the_server_keeps_what_is_not_on_the_lost_disk(tmp_path: Path) -> None:
    async def test(world: World, server_id: str) -> None:
        before = await show(world, server_id)
        await given_up(world, "a")
        lost = await show(world, server_id)
        assert (lost["status"], lost["OS-EXT-SRV-ATTR:host"]) == ("ERROR", None)
        assert "given up" in lost["fault"]["message"]
        assert "vm_state" not in (await act(world, server_id, {"evacuate": {"host": "b"}})).text
        assert (await show(world, server_id))["status"] == "REBUILD"
        await world.until(lambda: settled(world), within_s=120)
        after = await show(world, server_id)
        assert (after["status"], after["OS-EXT-SRV-ATTR:host"]) == ("ACTIVE", "b")
        assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}
        (listed,) = (await world.http.get("/compute/v2.1/os-migrations")).json()["migrations"]
        kind = (listed["migration_type"], listed["status"], listed["source_compute"], listed["dest_compute"])
        assert kind == ("evacuation", "done", "a", "b")
        assert "task_state" in await refused_while_busy(world, server_id)

    play(tmp_path, test)


async def refused_while_busy(world: World, server_id: str) -> str:
    await world.http.post(f"/compute/v2.1/servers/{server_id}/action", json={"os-resetState": {"state": "error"}})
    await world.http.post(f"/compute/v2.1/servers/{server_id}/action", json={"reboot": {"type": "HARD"}})
    return await refused(world, server_id, {}, status=409)


def test_its_body_and_answer_by_microversion(tmp_path: Path) -> None:
    async def test(world: World, server_id: str) -> None:
        await given_up(world, "a")
        assert "onSharedStorage" in await refused(world, server_id, {}, "2.13")
        assert "shared storage" in await refused(world, server_id, {"onSharedStorage": True}, "2.13")
        for version, body in (
            ("2.14", {"onSharedStorage": False}),
            ("2.28", {"force": True, "host": "b"}),
            ("2.68", {"force": True, "host": "b"}),
        ):
            assert "was unexpected" in await refused(world, server_id, body, version)
        assert "non-provided" in await refused(world, server_id, {"force": True}, "2.29")
        old = await act(world, server_id, {"evacuate": {"onSharedStorage": False, "adminPass": "pw"}}, "2.13")
        assert (old.status_code, old.json()) == (200, {"adminPass": "pw"})
        await world.until(lambda: settled(world), within_s=120)
        await world.http.post(f"/compute/v2.1/servers/{server_id}/action", json={"os-stop": None})
        await world.until(lambda: settled(world), within_s=120)
        await given_up(world, "b")
        world.add_host("c")
        await in_service(world, "c", True)
        new = await act(world, server_id, {"evacuate": {"force": True, "host": "c"}}, "2.29")
        assert (new.status_code, new.content) == (200, b"")
        await world.until(lambda: settled(world), within_s=120)
        shown = await show(world, server_id)
        assert (shown["status"], shown["OS-EXT-SRV-ATTR:host"]) == ("SHUTOFF", "c")

    play(tmp_path, test)
