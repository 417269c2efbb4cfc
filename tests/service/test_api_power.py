# SPDX-License-Identifier: Apache-2.0
"""suspend, rescue, rebuild, diagnostics and the server's password, as clients ask for them."""

import asyncio
import base64
from typing import Any

import pytest

from kilonova.objects.ids import InstanceId
from kilonova.objects.states import SAVED, PowerState
from kilonova.virt.fake import FakeDriver
from kilonova.virt.fake.machine import FakeHypervisor
from tests.service.api import RAW, Api, message
from tests.service.test_api_servers import NOTHING

CODED = base64.b64encode(b"words").decode()


def machine(api: Api) -> FakeHypervisor:
    driver = api.cloud.box.manager.driver
    assert isinstance(driver, FakeDriver)
    return driver.hypervisor


async def done(api: Api, server_id: str, body: Any, status: str, code: int = 202) -> dict[str, Any]:
    """The action's whole way; the server afterwards."""
    reply = await api.act(server_id, body)
    assert reply.status_code == code, reply.text
    return await api.until(server_id, status)


async def names_of_actions(api: Api, server_id: str) -> list[str]:
    found = (await api.json(f"/servers/{server_id}/os-instance-actions"))["instanceActions"]
    return [action["action"] for action in found]


async def test_suspend_and_resume(api: Api) -> None:
    server_id = await api.server(await api.image())
    assert "vm_state active" in message(await api.act(server_id, {"resume": None}), 409, "conflictingRequest")
    server = await done(api, server_id, {"suspend": None}, "SUSPENDED")
    assert (server["OS-EXT-STS:power_state"], server["OS-EXT-STS:vm_state"]) == (7, "suspended")
    for body in ({"suspend": None}, {"os-stop": None}, {"os-start": None}, {"pause": None}, {"rescue": {}}):
        said = message(await api.act(server_id, body), 409, "conflictingRequest")
        assert "while it is in vm_state suspended" in said
    guest = machine(api).guests[InstanceId(server_id)]
    machine(api).lose_power()
    assert (await done(api, server_id, {"resume": None}, "ACTIVE"))["OS-EXT-STS:power_state"] == 1
    assert guest.starts == 1
    await done(api, server_id, {"suspend": None}, "SUSPENDED")
    await done(api, server_id, {"reboot": {"type": "HARD"}}, "ACTIVE")
    assert guest.starts == 2
    await done(api, server_id, {"suspend": None}, "SUSPENDED")
    named = ["suspend", "reboot", "suspend", "resume", "suspend", "create"]
    assert await names_of_actions(api, server_id) == named
    await api.compute("DELETE", f"/servers/{server_id}")
    await api.until(server_id, "GONE")
    assert machine(api).guests == {}


async def test_a_delete_does_not_wait_for_a_save_that_lasts(api: Api) -> None:
    server_id = await api.server(await api.image())
    begun = asyncio.Event()

    async def lasts(call: str, _guest: object) -> None:
        if call == "suspend":
            begun.set()
            await asyncio.Event().wait()

    machine(api).before_call = lasts
    await api.act(server_id, {"suspend": None})
    await begun.wait()
    said = message(await api.act(server_id, {"os-stop": None}), 409, "conflictingRequest")
    assert "task_state suspending" in said
    assert (await api.compute("DELETE", f"/servers/{server_id}")).status_code == 204
    await api.until(server_id, "GONE")
    assert machine(api).guests == {}


async def test_what_is_saved_and_restored_behind_our_back_is_shown(api: Api) -> None:
    server_id = await api.server(await api.image())
    machine(api).move(InstanceId(server_id), PowerState.SUSPENDED, SAVED)
    await api.until(server_id, "SUSPENDED")
    machine(api).move(InstanceId(server_id), PowerState.RUNNING, "restored")
    await api.until(server_id, "ACTIVE")
    assert await names_of_actions(api, server_id) == ["power-update", "power-update", "create"]


async def test_rescue_and_unrescue(api: Api) -> None:
    image, other = await api.image(), await api.image(RAW + RAW)
    server_id = await api.server(image)
    guest = machine(api).guests[InstanceId(server_id)]
    for wish, words in (
        ({"rescue_image_ref": NOTHING}, NOTHING),
        ({"rescue_image_ref": "image"}, "not a UUID"),
        ({"flavorRef": "1"}, "'flavorRef' was unexpected"),
    ):
        assert words in message(await api.act(server_id, {"rescue": wish}), 400, "badRequest")
    queued = (await api.call("POST", "/image/v2/images", json={"name": "q"})).json()["id"]
    refused = await api.act(server_id, {"rescue": {"rescue_image_ref": queued}})
    assert "not active" in message(refused, 400, "badRequest")
    assert guest.starts == 1

    reply = await api.act(server_id, {"rescue": {"adminPass": "s3cret", "rescue_image_ref": other}})
    assert (reply.status_code, reply.json()) == (200, {"adminPass": "s3cret"})
    server = await api.until(server_id, "RESCUE")
    assert (server["OS-EXT-STS:vm_state"], server["image"]["id"]) == ("rescued", image)
    assert guest.rescue is not None
    assert guest.boots_from is guest.rescue
    assert guest.rescue.virtual_size == 2 * len(RAW)
    for body in ({"rescue": {}}, {"os-stop": None}, {"rebuild": {"imageRef": image}}):
        assert "vm_state rescued" in message(await api.act(server_id, body), 409, "conflictingRequest")
    await done(api, server_id, {"unrescue": None}, "ACTIVE")
    assert guest.rescue is None
    assert guest.boots_from is guest.base
    assert "vm_state active" in message(await api.act(server_id, {"unrescue": None}), 409, "conflictingRequest")

    await done(api, server_id, {"os-stop": None}, "SHUTOFF")
    reply = await api.act(server_id, {"rescue": None})  # of its own image
    assert len(reply.json()["adminPass"]) >= 12
    await api.until(server_id, "RESCUE")
    assert guest.rescue.virtual_size == len(RAW)  # type: ignore[attr-defined]
    assert (await api.json("/servers?status=RESCUE"))["servers"][0]["id"] == server_id
    await api.compute("DELETE", f"/servers/{server_id}")
    await api.until(server_id, "GONE")
    assert machine(api).guests == {}


async def test_a_rescue_whose_image_is_gone_leaves_the_server_running_and_says_why(api: Api) -> None:
    server_id = await api.server(await api.image())
    gone = await api.image(RAW + RAW)
    path = api.cloud.state / "images" / gone
    assert path.exists()
    path.unlink()
    assert (await api.act(server_id, {"rescue": {"rescue_image_ref": gone}})).status_code == 200
    await api.until(server_id, "ACTIVE")
    newest = (await api.json(f"/servers/{server_id}/os-instance-actions"))["instanceActions"][0]
    assert (newest["action"], gone in newest["message"]) == ("rescue", True)
    assert machine(api).guests[InstanceId(server_id)].starts == 1


async def test_rebuild(api: Api) -> None:
    image, other = await api.image(), await api.image(RAW + RAW)
    await api.compute("POST", "/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}})
    server_id = await api.server(image, name="old", metadata={"a": "1"}, config_drive=True)
    before = (await api.json(f"/servers/{server_id}"))["server"]
    guest = machine(api).guests[InstanceId(server_id)]
    wish = {
        "imageRef": other,
        "name": "new",
        "metadata": {"b": "2"},
        "description": "text",
        "key_name": "k",
        "user_data": CODED,
        "accessIPv4": "192.0.2.7",
        "accessIPv6": "2001:DB8:0::7",
        "OS-DCF:diskConfig": "AUTO",
        "preserve_ephemeral": False,
        "adminPass": "s3cret",
        "trusted_image_certificates": None,
    }
    reply = await api.act(server_id, {"rebuild": wish})
    assert reply.status_code == 202, reply.text
    assert reply.headers["location"].endswith(f"/servers/{server_id}")
    shown = reply.json()["server"]
    assert (shown["status"], shown["adminPass"], shown["image"]["id"]) == ("REBUILD", "s3cret", other)
    assert shown["user_data"] == CODED
    assert "OS-EXT-SRV-ATTR:user_data" not in shown
    after = await api.until(server_id, "ACTIVE")
    for kept in ("id", "addresses", "flavor", "OS-EXT-SRV-ATTR:hostname", "hostId", "created"):
        assert after[kept] == before[kept], kept
    assert (after["name"], after["metadata"], after["description"]) == ("new", {"b": "2"}, "text")
    assert (after["accessIPv4"], after["accessIPv6"]) == ("192.0.2.7", "2001:db8::7")
    assert (after["OS-DCF:diskConfig"], after["key_name"]) == ("AUTO", "k")
    assert guest.base is not None
    assert (guest.base.virtual_size, guest.starts) == (2 * len(RAW), 2)
    assert guest.config_drive is not None
    assert guest.config_drive["openstack/latest/user_data"] == b"words"
    assert b'"name": "new"' in guest.config_drive["openstack/latest/meta_data.json"]

    await done(api, server_id, {"os-stop": None}, "SHUTOFF")
    bare = {"imageRef": image, "user_data": None, "key_name": None, "description": None}
    after = await done(api, server_id, {"rebuild": bare}, "SHUTOFF")
    assert (after["key_name"], after["OS-EXT-SRV-ATTR:user_data"], after["description"]) == (None, None, None)
    assert (after["name"], after["metadata"], after["image"]["id"]) == ("new", {"b": "2"}, image)
    assert (guest.power, guest.starts) == (PowerState.SHUTDOWN, 2)


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me"


@pytest.mark.parametrize(
    ("version", "there", "not_there"),
    [
        ("2.1", set(), {"key_name", "user_data", "OS-EXT-STS:vm_state", "description"}),
        ("2.54", {"key_name", "description"}, {"user_data", "OS-EXT-STS:vm_state"}),
        ("2.57", {"key_name", "user_data"}, {"OS-EXT-STS:vm_state", "OS-EXT-SRV-ATTR:user_data"}),
        ("2.74", {"server_groups", "locked_reason", "user_data"}, {"config_drive", "OS-EXT-STS:vm_state"}),
        ("2.75", {"user_data", "config_drive", "OS-EXT-STS:vm_state"}, {"OS-EXT-SRV-ATTR:user_data"}),
    ],
)
async def test_the_answer_to_a_rebuild_by_microversion(
    api: Api, version: str, there: set[str], not_there: set[str]
) -> None:
    image = await api.image()
    server_id = await api.server(image)
    shown = (await api.at(version).act(server_id, {"rebuild": {"imageRef": image}})).json()["server"]
    assert there | {"adminPass", "accessIPv4", "image"} <= shown.keys()
    assert not not_there & shown.keys()
    await api.until(server_id, "ACTIVE")


@pytest.mark.parametrize(
    ("wish", "version", "words"),
    [
        ({"imageRef": NOTHING}, "2.79", NOTHING),
        ({"imageRef": "image"}, "2.79", "not a UUID"),
        ({"description": "d"}, "2.18", "'description' was unexpected"),
        ({"key_name": "k"}, "2.53", "'key_name' was unexpected"),
        ({"key_name": "k"}, "2.79", "k"),
        ({"user_data": CODED}, "2.56", "'user_data' was unexpected"),
        ({"user_data": "no base64!"}, "2.79", "base64"),
        ({"trusted_image_certificates": []}, "2.79", "trusted_image_certificates"),
        ({"hostname": "hh"}, "2.79", "'hostname' was unexpected"),
        ({"accessIPv4": "2001:db8::1"}, "2.79", "not an IPv4 address"),
        ({"accessIPv6": 5}, "2.79", "not an IPv6 address"),
        ({"name": None}, "2.79", "cannot be null"),
        ({"preserve_ephemeral": True}, "2.79", "cannot be preserved"),
        ({"flavorRef": "1"}, "2.79", "'flavorRef' was unexpected"),
    ],
)
async def test_what_no_server_can_be_rebuilt_of(api: Api, wish: dict[str, Any], version: str, words: str) -> None:
    image = await api.image()
    server_id = await api.server(image)
    body = {"rebuild": {"imageRef": image, **wish}}
    assert words in message(await api.at(version).act(server_id, body), 400, "badRequest")
    assert await names_of_actions(api, server_id) == ["create"]


async def test_a_rebuild_takes_only_images_that_fit_and_projects_own_servers(api: Api) -> None:
    server_id = await api.server(await api.image())
    for fields, words in (({"min_ram": 129}, "memory is too small"), ({"min_disk": 2}, "disk is too small")):
        image = await api.image(**fields)
        refused = await api.act(server_id, {"rebuild": {"imageRef": image}})
        assert words in message(refused, 400, "badRequest")
    refused = await api.act(server_id, {"rebuild": {"name": "new"}})
    assert "'imageRef' is a required property" in message(refused, 400, "badRequest")
    many = {"imageRef": await api.image(visibility="public"), "metadata": {f"k{at}": "" for at in range(129)}}
    assert message(await api.act(server_id, {"rebuild": many}), 403, "forbidden")
    del many["metadata"]
    other = api.as_("member")
    assert message(await other.act(server_id, {"rebuild": many}), 404, "itemNotFound")
    theirs = await other.server(many["imageRef"])
    assert message(await other.act(theirs, {"rebuild": {"imageRef": image}}), 400, "badRequest")
    reader = api.as_("reader")
    for body in ({"rebuild": many}, {"rescue": {}}, {"unrescue": None}, {"suspend": None}, {"resume": None}):
        assert message(await reader.act(theirs, body), 403, "forbidden")


FIXED = {
    *("state", "driver", "hypervisor", "hypervisor_os", "uptime", "config_drive", "num_cpus", "num_nics", "num_disks"),
    *("cpu_details", "nic_details", "disk_details", "memory_details"),
}
NIC = {"mac_address"} | {f"{way}_{n}" for way in ("rx", "tx") for n in ("octets", "packets", "drop", "errors", "rate")}


async def test_diagnostics(api: Api) -> None:
    server_id = await api.server(await api.image(), config_drive=True)
    path = f"/servers/{server_id}/diagnostics"
    found = await api.json(path)
    assert found.keys() == FIXED
    assert (found["state"], found["num_cpus"], found["config_drive"]) == ("running", 1, True)
    assert found["memory_details"] == {"maximum": 128, "used": None}
    (nic,) = found["nic_details"]
    assert nic.keys() == NIC
    server = (await api.json(f"/servers/{server_id}"))["server"]
    assert nic["mac_address"] == server["addresses"]["kilonova"][0]["OS-EXT-IPS-MAC:mac_addr"]
    (disk,) = found["disk_details"]
    names = {"read_bytes", "read_requests", "write_bytes", "write_requests", "errors_count"}
    assert disk.keys() == names
    free = (await api.at("2.47").compute("GET", path)).json()
    assert {"cpu0_time", "vda_read", "vda_write_req", "nic0_rx", "nic0_tx_packets", "memory"} <= free.keys()
    assert all(isinstance(value, int) for value in free.values())
    assert message(await api.as_("member").compute("GET", path), 403, "forbidden")
    assert message(await api.compute("GET", f"/servers/{NOTHING}/diagnostics"), 404, "itemNotFound")
    machine(api).freeze(InstanceId(server_id))
    assert message(await api.compute("GET", path), 409, "conflictingRequest")
    machine(api).freeze(InstanceId(server_id), False)
    await done(api, server_id, {"os-stop": None}, "SHUTOFF")
    assert "not running" in message(await api.compute("GET", path), 409, "conflictingRequest")


async def test_there_is_no_password_to_be_told_or_cleared(api: Api) -> None:
    server_id = await api.server(await api.image())
    path = f"/servers/{server_id}/os-server-password"
    assert await api.json(path) == {"password": ""}
    cleared = await api.compute("DELETE", path)
    assert (cleared.status_code, cleared.content) == (204, b"")
    for method in ("GET", "DELETE"):
        assert message(await api.as_("member").compute(method, path), 404, "itemNotFound")
    assert message(await api.as_("reader").compute("DELETE", path), 403, "forbidden")
