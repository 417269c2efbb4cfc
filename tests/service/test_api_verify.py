# SPDX-License-Identifier: Apache-2.0
"""POST /kilonova/verify: one part at a time, for administrators; what is deleted needs two looks."""

from pathlib import Path
from typing import Any

from kilonova.base.errors import HypervisorUnavailable
from kilonova.objects.ids import InstanceId
from kilonova.virt.fake.driver import FakeDriver
from kilonova.virt.fake.machine import FakeHypervisor
from tests.service.api import Api, message, until

PATH = "/kilonova/verify"
STRAY = "11111111-1111-4111-8111-111111111111"


async def verified(api: Api, part: str = "host", **more: Any) -> dict[str, Any]:
    body = {"part": part, **({"host": "box1"} if part == "host" else {}), **more}
    reply = await api.compute("POST", PATH, {"verify": body})
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()["verification"]
    return found


async def codes(api: Api, part: str = "host", **more: Any) -> list[tuple[str, str | None]]:
    return [(one["code"], one["outcome"]) for one in (await verified(api, part, **more))["differences"]]


def hypervisor(api: Api) -> FakeHypervisor:
    driver = api.cloud.box.manager.driver
    assert isinstance(driver, FakeDriver)
    return driver.hypervisor


async def test_a_cloud_as_it_is_recorded_has_no_difference(api: Api) -> None:
    await api.server(await api.image())
    for part in ("database", "host", "images"):
        found = await verified(api, part, checksums=True, begin=True)
        assert (found["differences"], found["unseen"], found["running"]) == ([], None, False)


async def test_a_lost_guest_is_started_again(api: Api) -> None:
    server_id = await api.server(await api.image())
    guest = hypervisor(api).guests[InstanceId(server_id)]
    definition, guest.definition = guest.definition, None
    assert definition is not None
    assert await codes(api) == [("guest-missing", None)]
    assert await codes(api, repair=True) == [("guest-missing", "requested")]
    await api.until(server_id, "ACTIVE")
    assert guest.definition is not None
    assert await codes(api) == []


async def test_the_guest_of_a_deleted_server_is_removed_after_two_looks(api: Api) -> None:
    image_id = await api.image()
    server_id = await api.server(image_id)
    guests = hypervisor(api).guests
    guest = guests[InstanceId(server_id)]
    definition = guest.definition
    assert (await api.compute("DELETE", f"/servers/{server_id}")).status_code == 204
    await api.until(server_id, "GONE")
    guest.definition = definition
    guests[InstanceId(server_id)] = guest
    (why,) = [outcome for _, outcome in await codes(api, repair=True, pause_seconds=3600)]
    assert why is not None
    assert why.startswith("not removed: no earlier look")
    assert InstanceId(server_id) in guests
    assert await codes(api, repair=True, pause_seconds=0) == [("guest-deleted", "repaired")]
    assert InstanceId(server_id) not in guests
    assert await codes(api) == []


async def test_an_address_that_the_network_does_not_reserve_is_reserved(api: Api) -> None:
    guest = hypervisor(api).guests[InstanceId(await api.server(await api.image()))]
    guest.network = False
    assert await codes(api) == [("reservation-missing", None)]
    assert await codes(api, repair=True) == [("reservation-missing", "repaired")]
    assert guest.network
    assert await codes(api) == []


async def test_a_damaged_base_is_fetched_again(api: Api) -> None:
    await api.server(await api.image())
    (base,) = (api.cloud.state / "instances/_base").iterdir()
    right = base.read_bytes()
    base.write_bytes(right[:-1] + b"\x01")
    assert await codes(api) == []
    assert await codes(api, checksums=True, begin=True) == [("base-damaged", None)]
    assert await codes(api, checksums=True, repair=True) == [("base-damaged", "requested")]

    async def look() -> bool:
        return await codes(api, checksums=True, begin=True) == []

    await until(look)
    assert base.read_bytes() == right


async def test_files_without_an_image_are_removed_after_two_looks(api: Api) -> None:
    image_id, files = await api.image(), Path(api.cloud.state / "images")
    (files / STRAY).write_bytes(b"stray")
    (files / image_id).unlink()
    assert sorted(await codes(api, "images")) == [("image-missing", None), ("image-unknown", None)]
    outcomes = dict(await codes(api, "images", repair=True, pause_seconds=3600))
    assert (files / STRAY).exists()
    assert outcomes["image-missing"] is None
    assert dict(await codes(api, "images", repair=True, pause_seconds=0))["image-unknown"] == "repaired"
    assert not (files / STRAY).exists()


async def test_a_hypervisor_that_is_away_is_not_compared(api: Api) -> None:
    hypervisor(api).away = "it is frozen"
    found = await verified(api)
    assert found["differences"] == []
    assert found["unseen"].startswith("Host box1 could not be compared: ")
    assert (await verified(api, "database"))["unseen"] is None


async def test_a_guest_that_does_not_respond_is_named_and_the_others_are_compared(api: Api) -> None:
    image_id = await api.image()
    stuck, other = await api.server(image_id), await api.server(image_id)

    async def refuse(name: str, instance_id: InstanceId | None) -> None:
        if name == "disk_trouble" and instance_id == stuck:
            raise HypervisorUnavailable("It does not answer.")

    hypervisor(api).before_call = refuse
    hypervisor(api).guests[InstanceId(other)].disk_gone = True
    found = await verified(api)
    assert [one["code"] for one in found["differences"]] == ["disk-missing"]
    assert found["unseen"].endswith(f"{stuck} (It does not answer.).")


async def test_only_administrators_use_it_and_a_host_is_named(api: Api) -> None:
    body = {"verify": {"part": "host", "host": "box1"}}
    assert message(await api.as_("member").compute("POST", PATH, body), 403, "forbidden")
    assert message(await api.compute("POST", PATH, {"verify": {"part": "host"}}), 400, "badRequest")
    assert message(await api.compute("POST", PATH, {"verify": {"part": "images", "host": "a"}}), 400, "badRequest")
    unknown = {"verify": {"part": "host", "host": "h9"}}
    assert message(await api.compute("POST", PATH, unknown), 404, "itemNotFound") == "There is no host h9."
