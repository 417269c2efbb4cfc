# SPDX-License-Identifier: Apache-2.0
"""Images of servers, backups, and shelving, over HTTP on a whole cloud with the fake driver."""

import asyncio
from typing import Any

import httpx
import pytest

from kilonova.api.image.image_data import recover
from kilonova.db.readers import hosts as read_hosts
from kilonova.virt.fake import FakeDriver
from kilonova.virt.fake.machine import FakeHypervisor
from tests.service.api import OCTETS, RAW, Api, message, running_api, until

STAYS = {("DEFAULT", "shelved_offload_time"): -1.0}


def machine(api: Api) -> FakeHypervisor:
    driver = api.cloud.box.manager.driver
    assert isinstance(driver, FakeDriver)
    return driver.hypervisor


def stored(api: Api) -> set[str]:
    """Images that have bytes."""
    return {path.name for path in (api.cloud.state / "images").iterdir()}


async def image(api: Api, image_id: str) -> dict[str, Any] | None:
    reply = await api.call("GET", f"/image/v2/images/{image_id}")
    return None if reply.status_code == 404 else reply.json()


async def gone(api: Api, image_id: str) -> None:
    async def look() -> bool:
        return await image(api, image_id) is None and image_id not in stored(api)

    await until(look)


async def newest(api: Api, server_id: str) -> dict[str, Any]:
    return (await api.json(f"/servers/{server_id}/os-instance-actions"))["instanceActions"][0]


async def settled(api: Api, server_id: str) -> dict[str, Any]:
    """The server once nothing goes on."""

    async def look() -> dict[str, Any] | None:
        server = (await api.json(f"/servers/{server_id}"))["server"]
        return server if server["OS-EXT-STS:task_state"] is None else None

    return await until(look)


class Pause:
    """Holds a driver call up until it is let go on."""

    def __init__(self, api: Api, call: str) -> None:
        self._call, self.reached, self.go = call, asyncio.Event(), asyncio.Event()
        machine(api).before_call = self._before

    async def _before(self, name: str, _guest: object) -> Exception | None:
        if name == self._call:
            self.reached.set()
            await self.go.wait()
        return None


async def test_an_image_of_a_server_and_a_server_of_that_image(api: Api) -> None:
    base = await api.image(os_distro="minix", bittorrent="x", min_ram=64)
    server_id = await api.server(base, name="first")
    asked = {"name": "copy", "metadata": {"image_location": "my own word", "note": "n"}}
    image_id = (await api.act(server_id, {"createImage": asked}, 202)).json()["image_id"]
    await api.image_becomes(image_id, "active")
    shown = await image(api, image_id)
    assert shown is not None
    wanted = {
        "name": "copy",
        "visibility": "private",
        "disk_format": "qcow2",
        "min_disk": 1,
        "min_ram": 64,
        "image_type": "snapshot",
        "instance_uuid": server_id,
        "base_image_ref": base,
        "os_distro": "minix",
        "image_state": "available",
        "owner_project_name": "admin",
        "image_location": "my own word",
        "note": "n",
    }
    assert {name: shown[name] for name in wanted} == wanted
    assert "bittorrent" not in shown
    server = await api.until(server_id, "ACTIVE")
    assert machine(api).guests[server_id].starts == 1
    assert machine(api).guests[server_id].snapshots == {}
    data = (await api.call("GET", f"/image/v2/images/{image_id}/file")).content
    assert (len(data), shown["virtual_size"]) == (shown["size"], 1 << 30)
    assert server["image"]["id"] == base
    await api.server(image_id, name="second")
    action = await newest(api, server_id)
    assert (action["action"], action["message"]) == ("createImage", None)


async def test_before_2_45_the_image_is_named_by_a_header(api: Api) -> None:
    server_id = await api.server(await api.image())
    reply = await api.at("2.44").act(server_id, {"createImage": {"name": "i"}}, 202)
    assert reply.content == b""
    location = reply.headers["Location"]
    await api.image_becomes(location.rpartition("/")[2], "active")
    assert (await api.call("GET", location.removeprefix("http://box"))).status_code == 200


async def test_images_of_servers_that_are_off_or_paused_and_of_none_that_is_on_its_way(api: Api) -> None:
    server_id = await api.server(await api.image())
    for verb, status in (("os-stop", "SHUTOFF"), ("os-start", "ACTIVE"), ("pause", "PAUSED")):
        await api.act(server_id, {verb: None}, 202)
        await api.until(server_id, status)
        image_id = (await api.act(server_id, {"createImage": {"name": status}}, 202)).json()["image_id"]
        await api.image_becomes(image_id, "active")
        await api.until(server_id, status)
    pause = Pause(api, "take_snapshot")
    await api.act(server_id, {"createImage": {"name": "slow"}}, 202)
    await pause.reached.wait()
    again = await api.act(server_id, {"createImage": {"name": "second"}}, 409)
    assert "task_state image_snapshot" in message(again, 409, "conflictingRequest")
    pause.go.set()
    await api.until(server_id, "PAUSED")


@pytest.mark.parametrize(
    "asked",
    [
        {"createImage": {}},
        {"createImage": {"name": ""}},
        {"createImage": {"name": "x" * 256}},
        {"createImage": {"name": "i", "metadata": {"k": 1}}},
        {"createImage": {"name": "i", "more": 1}},
        {"createBackup": {"name": "b", "backup_type": "daily"}},
        {"createBackup": {"name": "b", "backup_type": "daily", "rotation": -1}},
        {"unshelve": {}},
        {"unshelve": {"availability_zone": "moon"}},
    ],
)
async def test_what_makes_no_sense_is_400(api: Api, asked: Any) -> None:
    server_id = await api.server(await api.image())
    await api.act(server_id, asked, 400)


async def test_an_image_that_is_deleted_while_it_is_made_ends_the_action_and_leaves_nothing(api: Api) -> None:
    server_id = await api.server(await api.image())
    pause = Pause(api, "read_snapshot")
    image_id = (await api.act(server_id, {"createImage": {"name": "i"}}, 202)).json()["image_id"]
    await pause.reached.wait()
    shown = await image(api, image_id)
    assert shown is not None
    assert shown["status"] == "saving"
    put = await api.call("PUT", f"/image/v2/images/{image_id}/file", content=RAW, headers=OCTETS)
    assert "is being created from a server" in put.text
    assert (await api.call("DELETE", f"/image/v2/images/{image_id}")).status_code == 204
    pause.go.set()
    await api.until(server_id, "ACTIVE")
    assert "was deleted while it was being made" in (await newest(api, server_id))["message"]
    assert image_id not in stored(api)
    assert machine(api).guests[server_id].snapshots == {}


async def test_an_image_that_cannot_be_made_is_gone_with_the_reason_in_the_action(api: Api) -> None:
    server_id = await api.server(await api.image())
    machine(api).guests[server_id].base = None
    image_id = (await api.act(server_id, {"createImage": {"name": "i"}}, 202)).json()["image_id"]
    await api.until(server_id, "ACTIVE")
    assert "has no disk" in (await newest(api, server_id))["message"]
    assert await image(api, image_id) is None
    assert image_id not in stored(api)


@pytest.mark.parametrize("call", ["take_snapshot", "read_snapshot", "remove_snapshot"])
async def test_a_delete_while_an_image_is_made_leaves_nothing_of_both(api: Api, call: str) -> None:
    base = await api.image()
    server_id = await api.server(base)
    pause = Pause(api, call)
    image_id = (await api.act(server_id, {"createImage": {"name": "i"}}, 202)).json()["image_id"]
    await pause.reached.wait()
    assert (await api.compute("DELETE", f"/servers/{server_id}")).status_code == 204
    made = call == "remove_snapshot"  # by then the image is whole, and its owner's
    assert (await image(api, image_id) is not None) is made
    pause.go.set()
    await api.until(server_id, "GONE")
    assert machine(api).guests == {}
    assert stored(api) == {base, image_id} if made else {base}


async def test_backups_rotate_by_kind_and_server(api: Api) -> None:
    base = await api.image()
    first, second = await api.server(base, name="a"), await api.server(base, name="b")

    async def backup(server_id: str, kind: str, rotation: int | str) -> httpx.Response:
        asked = {"name": f"{kind}-{rotation}", "backup_type": kind, "rotation": rotation}
        reply = await api.act(server_id, {"createBackup": asked}, 202)
        await api.until(server_id, "ACTIVE")
        return reply

    others = [(await backup(second, "daily", 9)).json()["image_id"]]
    others += [(await backup(first, "weekly", "1")).json()["image_id"]]
    snapshot = (await api.act(first, {"createImage": {"name": "i"}}, 202)).json()["image_id"]
    await api.until(first, "ACTIVE")
    made = [(await backup(first, "daily", 2)).json()["image_id"] for _ in range(4)]
    found = await api.call("GET", f"/image/v2/images?image_type=backup&instance_uuid={first}&backup_type=daily")
    assert [one["id"] for one in found.json()["images"]] == [made[3], made[2]]
    assert stored(api) == {base, snapshot, *others, *made[2:]}
    none = await backup(first, "daily", 0)
    assert none.content == b""
    assert stored(api) == {base, snapshot, *others}


async def test_a_shelved_server_leaves_its_host_and_comes_back_as_an_image_of_itself(api: Api) -> None:
    base = await api.image()
    server_id = await api.server(base, name="s")
    before = await api.until(server_id, "ACTIVE")
    await api.act(server_id, {"shelve": None}, 202)
    away = await api.until(server_id, "SHELVED_OFFLOADED")
    assert machine(api).guests == {}
    assert (away["OS-EXT-SRV-ATTR:host"], away["image"]["id"]) == (None, base)
    assert away["addresses"] == before["addresses"]
    (node,) = await api.cloud.box.app.deps.db.read(read_hosts.list_nodes)
    assert (node.running_vms, node.vcpus_used) == (0, 0)
    images = (await api.call("GET", "/image/v2/images?name=s-shelved")).json()["images"]
    assert [(one["status"], one["instance_uuid"]) for one in images] == [("active", server_id)]
    await api.act(server_id, {"os-start": None}, 409)
    await api.act(server_id, {"createImage": {"name": "i"}}, 409)

    other = await api.server(base, name="other")  # must not get the address meanwhile
    assert (await api.until(other, "ACTIVE"))["addresses"] != before["addresses"]
    await api.act(server_id, {"unshelve": {"availability_zone": "nova"}}, 202)
    back = await api.until(server_id, "ACTIVE")
    assert (back["addresses"], back["image"]["id"]) == (before["addresses"], base)
    guest = machine(api).guests[server_id]
    assert guest.base is not None
    assert guest.base.path.name.startswith(images[0]["os_hash_value"][:40])
    await gone(api, images[0]["id"])
    actions = (await api.json(f"/servers/{server_id}/os-instance-actions"))["instanceActions"]
    assert [one["action"] for one in actions] == ["unshelve", "shelveOffload", "shelve", "create"]


async def test_a_shelved_server_that_stays_on_its_host_keeps_its_disk() -> None:
    async with running_api(STAYS) as api:
        server_id = await api.server(await api.image())
        disk = machine(api).guests[server_id].base
        await api.act(server_id, {"shelve": None}, 202)
        shelved = await api.until(server_id, "SHELVED")
        assert (shelved["OS-EXT-SRV-ATTR:host"], shelved["OS-EXT-STS:power_state"]) == ("box1", 4)
        await asyncio.sleep(0.5)  # two looks of the watchdog
        refused = await api.act(server_id, {"unshelve": {"availability_zone": "nova"}}, 409)
        assert "availability_zone is only allowed" in message(refused, 409, "conflictingRequest")
        await api.act(server_id, {"unshelve": None}, 202)
        await api.until(server_id, "ACTIVE")
        guest = machine(api).guests[server_id]
        assert (guest.base, guest.starts) == (disk, 2)
        await api.act(server_id, {"shelve": None}, 202)
        await api.until(server_id, "SHELVED")
        await api.as_("member", project="p-other").act(server_id, {"shelveOffload": None}, 403)
        await api.act(server_id, {"shelveOffload": None}, 202)
        await api.until(server_id, "SHELVED_OFFLOADED")
        await api.at("2.1").act(server_id, {"unshelve": None}, 202)
        await api.until(server_id, "ACTIVE")
        assert machine(api).guests[server_id].base != disk


@pytest.mark.parametrize("offloaded", [False, True])
async def test_a_shelved_server_that_is_deleted_takes_its_image_along(offloaded: bool) -> None:
    async with running_api({} if offloaded else STAYS) as api:
        base = await api.image()
        server_id = await api.server(base)
        await api.act(server_id, {"shelve": None}, 202)
        await api.until(server_id, "SHELVED_OFFLOADED" if offloaded else "SHELVED")
        assert len(stored(api)) == 2
        assert (await api.compute("DELETE", f"/servers/{server_id}")).status_code == 204
        await api.until(server_id, "GONE")
        assert stored(api) == {base}
        assert machine(api).guests == {}
        listed = (await api.call("GET", "/image/v2/images")).json()["images"]
        assert [one["id"] for one in listed] == [base]
        await api.server(base)  # its address is free again, and so is all that it had


async def test_an_image_that_is_deleted_keeps_a_server_from_leaving_its_host() -> None:
    async with running_api(STAYS) as api:
        server_id = await api.server(await api.image(), name="s")
        await api.act(server_id, {"shelve": None}, 202)
        await api.until(server_id, "SHELVED")
        (one,) = (await api.call("GET", "/image/v2/images?name=s-shelved")).json()["images"]
        await api.call("DELETE", f"/image/v2/images/{one['id']}")
        refused = await api.act(server_id, {"shelveOffload": None}, 409)
        assert "no image to come back from" in message(refused, 409, "conflictingRequest")
        await api.act(server_id, {"unshelve": None}, 202)
        await api.until(server_id, "ACTIVE")


async def test_one_that_cannot_come_back_stays_on_the_shelf_with_its_image(api: Api) -> None:
    base = await api.image()
    server_id = await api.server(base)
    await api.act(server_id, {"shelve": None}, 202)
    before = await api.until(server_id, "SHELVED_OFFLOADED")
    services = (await api.json("/os-services"))["services"]
    service = f"/os-services/{services[0]['id']}"
    await api.compute("PUT", service, {"status": "disabled"})
    await api.act(server_id, {"unshelve": None}, 202)
    await settled(api, server_id)
    assert "ComputeFilter refused box1" in (await newest(api, server_id))["message"]
    await api.compute("PUT", service, {"status": "enabled"})

    async def broken(name: str, _guest: object) -> Exception | None:
        if name == "define":
            raise RuntimeError("no")
        return None

    machine(api).before_call = broken
    await api.act(server_id, {"unshelve": None}, 202)
    still = await settled(api, server_id)
    assert (still["status"], still["addresses"]) == ("SHELVED_OFFLOADED", before["addresses"])
    assert machine(api).guests == {}
    machine(api).before_call = None
    (node,) = await api.cloud.box.app.deps.db.read(read_hosts.list_nodes)
    assert node.running_vms == 0
    await api.act(server_id, {"unshelve": None}, 202)
    await api.until(server_id, "ACTIVE")


async def test_the_start_of_the_api_takes_nothing_from_images_that_are_being_made(api: Api) -> None:
    server_id = await api.server(await api.image())
    pause = Pause(api, "take_snapshot")
    image_id = (await api.act(server_id, {"createImage": {"name": "i"}}, 202)).json()["image_id"]
    await pause.reached.wait()
    await recover(api.cloud.box.app.deps, api.cloud.box.images)
    shown = await image(api, image_id)
    assert shown is not None
    assert shown["status"] == "saving"
    pause.go.set()
    await api.image_becomes(image_id, "active")
