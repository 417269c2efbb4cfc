# SPDX-License-Identifier: Apache-2.0
"""Resizing over HTTP: there, back, refused, and the list of migrations that operators read."""

from typing import Any

import pytest

from kilonova.virt.fake.machine import FakeGuest
from tests.service.api import Api, message, running_api

BIG = {"name": "big", "id": "big", "ram": 256, "vcpus": 2, "disk": 3}


async def flavor(api: Api, **changes: Any) -> str:
    made = await api.compute("POST", "/flavors", {"flavor": {**BIG, **changes}})
    assert made.status_code == 200, made.text
    return str(made.json()["flavor"]["id"])


async def resized(api: Api, server_id: str, to: str = "big") -> dict[str, Any]:
    reply = await api.act(server_id, {"resize": {"flavorRef": to}})
    assert (reply.status_code, reply.content) == (202, b""), reply.text
    return await api.until(server_id, "VERIFY_RESIZE")


async def used(api: Api) -> tuple[int, int, int]:
    (node,) = (await api.at("2.87").json("/os-hypervisors/detail"))["hypervisors"]
    return node["vcpus_used"], node["memory_mb_used"], node["local_gb_used"]


def guest(api: Api, server_id: str) -> FakeGuest:
    return api.cloud.box.manager.driver.hypervisor.guests[server_id]  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", ["ACTIVE", "SHUTOFF"])
@pytest.mark.parametrize(("end", "code"), [("confirmResize", 204), ("revertResize", 202)])
async def test_there_and_back_or_there_to_stay(api: Api, status: str, end: str, code: int) -> None:
    await flavor(api)
    server_id = await api.server(await api.image())
    if status == "SHUTOFF":
        await api.act(server_id, {"os-stop": None})
    before = await api.until(server_id, status)
    waiting = await resized(api, server_id)
    assert (waiting["flavor"]["original_name"], waiting["OS-EXT-STS:vm_state"]) == ("big", "resized")
    assert (waiting["addresses"], waiting["progress"]) == (before["addresses"], 0)
    assert await used(api) == (2, 256, 3)
    for refused in ({"os-stop": None}, {"reboot": {"type": "HARD"}}, {"resize": {"flavorRef": "1"}}):
        assert "vm_state resized" in message(await api.act(server_id, refused), 409, "conflictingRequest")
    reply = await api.act(server_id, {end: None})
    assert (reply.status_code, reply.content) == (code, b"")
    after = await api.until(server_id, status)
    name, size = ("big", (2, 256, 3)) if end == "confirmResize" else ("m1.nano", (1, 128, 1))
    assert (after["flavor"]["original_name"], await used(api)) == (name, size)
    assert after["addresses"] == before["addresses"]
    one = guest(api, server_id)
    assert one.definition is not None
    assert (one.definition.flavor.name, one.disk_bytes >> 30, one.kept_disk) == (name, size[2], None)
    names = [a["action"] for a in (await api.json(f"/servers/{server_id}/os-instance-actions"))["instanceActions"]]
    assert names[:2] == [end, "resize"]
    assert (await api.act(server_id, {end: None})).status_code == 409


async def test_what_cannot_be_is_said_and_changes_nothing(api: Api) -> None:
    server_id = await api.server(await api.image())
    huge = await flavor(api, name="huge", id="huge", vcpus=1_000_000)
    await flavor(api, name="none", id="none", disk=0)
    hidden = await flavor(api, name="hidden", id="hidden", **{"os-flavor-access:is_public": False})
    before = await api.json(f"/servers/{server_id}")
    for flavor_id, words in (("1", "must change flavor"), ("nosuch", "nosuch"), ("none", "resize disk down")):
        refused = await api.act(server_id, {"resize": {"flavorRef": flavor_id}})
        assert words in message(refused, 400, "badRequest")
    refused = await api.act(server_id, {"resize": {"flavorRef": huge}})
    assert "No valid host was found. CoreFilter refused box1" in message(refused, 400, "badRequest")
    member = api.as_("member", project=before["server"]["tenant_id"])
    refused = await member.act(server_id, {"resize": {"flavorRef": huge}})
    plain = "No valid host was found. There are not enough hosts available."
    assert message(refused, 400, "badRequest") == plain
    for body in (
        {},
        None,
        {"flavorRef": ""},
        {"flavorRef": "2", "OS-DCF:diskConfig": "auto"},
        {"flavorRef": None},
    ):
        assert (await api.act(server_id, {"resize": body})).status_code == 400, body
    assert await api.json(f"/servers/{server_id}") == before
    owner = api.as_("member")
    mine = await owner.server(await api.image(visibility="public"))
    refused = await owner.act(mine, {"resize": {"flavorRef": hidden}})
    assert "could not be found" in message(refused, 400, "badRequest")
    assert (await api.as_("reader").act(mine, {"resize": {"flavorRef": "2"}})).status_code == 403
    assert (await owner.act(server_id, {"resize": {"flavorRef": "2"}})).status_code == 404


async def test_a_resize_that_the_host_refuses_leaves_the_server_as_it_was(api: Api) -> None:
    await flavor(api)
    server_id = await api.server(await api.image())
    guest(api, server_id).base = None  # its disk is gone
    reply = await api.act(server_id, {"resize": {"flavorRef": "big", "OS-DCF:diskConfig": "AUTO"}})
    path = f"/servers/{server_id}/os-instance-actions"
    while True:
        (action, _) = (await api.json(path))["instanceActions"]
        if action["message"] is not None:
            break
    assert action["request_id"] == reply.headers["x-openstack-request-id"]
    assert f"Guest {server_id} has no disk." in action["message"]
    server = (await api.json(f"/servers/{server_id}"))["server"]
    assert (server["flavor"]["original_name"], server["status"]) == ("m1.nano", "ACTIVE")
    assert (await used(api), "fault" in server) == ((1, 128, 1), False)
    (migration,) = (await api.json("/os-migrations"))["migrations"]
    assert migration["status"] == "error"


async def test_the_larger_size_counts_against_the_quota_until_the_end() -> None:
    async with running_api({("quota", "cores"): 3}) as admin:
        await flavor(admin)
        image, api = await admin.image(visibility="public"), admin.as_("member")
        server_id, other = await api.server(image), await api.server(image)
        for body in ({"resize": {"flavorRef": "big"}}, {"revertResize": None}, {"resize": {"flavorRef": "big"}}):
            assert (await api.act(server_id, body)).status_code == 202
            waits = "resize" in body
            await api.until(server_id, "VERIFY_RESIZE" if waits else "ACTIVE")
            limits = (await api.json("/limits"))["limits"]["absolute"]
            assert (limits["totalCoresUsed"], limits["totalRAMUsed"]) == ((3, 384) if waits else (2, 256))
        refused = await api.act(other, {"resize": {"flavorRef": "big"}})
        assert "Quota exceeded for cores: Requested 1, but already used 3 of 3" in message(refused, 403, "forbidden")
        assert (await used(admin))[0] == 3
        assert (await api.until(other, "ACTIVE"))["flavor"]["original_name"] == "m1.nano"


async def test_deleting_a_server_that_waits_leaves_nothing(api: Api) -> None:
    await flavor(api)
    server_id = await api.server(await api.image())
    await resized(api, server_id)
    assert guest(api, server_id).kept_disk is not None
    assert (await api.compute("DELETE", f"/servers/{server_id}")).status_code == 204
    await api.until(server_id, "GONE")
    assert await used(api) == (0, 0, 0)
    assert api.cloud.box.manager.driver.hypervisor.guests == {}  # type: ignore[attr-defined]


async def test_nobody_confirmed_it_in_time() -> None:
    async with running_api({("DEFAULT", "resize_confirm_window"): 0.3}) as api:
        await flavor(api)
        server_id = await api.server(await api.image())
        reply = await api.act(server_id, {"resize": {"flavorRef": "big"}})
        assert reply.status_code == 202
        while (await api.json("/os-migrations"))["migrations"][0]["status"] != "confirmed":
            pass
        assert (await api.until(server_id, "ACTIVE"))["flavor"]["original_name"] == "big"


MIGRATION = {"id", "instance_uuid", "source_compute", "source_node", "dest_compute", "dest_node", "dest_host", "status"}
MIGRATION |= {"old_instance_type_id", "new_instance_type_id", "created_at", "updated_at"}


@pytest.mark.parametrize(
    ("version", "more"),
    [
        ("2.1", set[str]()),
        ("2.23", {"migration_type"}),
        ("2.59", {"migration_type", "uuid"}),
        ("2.80", {"migration_type", "uuid", "user_id", "project_id"}),
    ],
)
async def test_migrations_by_microversion(api: Api, version: str, more: set[str]) -> None:
    server_id = await api.server(await api.image())
    await resized(api, server_id, "2")
    (shown,) = (await api.at(version).json("/os-migrations"))["migrations"]
    assert shown.keys() == MIGRATION | more
    assert (shown["instance_uuid"], shown["status"]) == (server_id, "finished")
    assert (shown["old_instance_type_id"], shown["new_instance_type_id"]) == (1, 2)
    assert (shown["source_compute"], shown["dest_compute"]) == ("box1", "box1")


async def test_migrations_are_filtered_and_come_page_by_page(api: Api) -> None:
    big = await flavor(api)
    image = await api.image(visibility="public")
    owner = api.as_("member")
    mine, theirs = await api.server(image), await owner.server(image)
    await resized(api, mine, "2")
    await api.act(mine, {"revertResize": None})
    await api.until(mine, "ACTIVE")
    await resized(owner, theirs, big)

    async def listed(query: str) -> list[str]:
        reply = await api.json(f"/os-migrations?{query}")
        return [one["instance_uuid"] for one in reply["migrations"]]

    assert await listed("") == [theirs, mine]
    assert await listed("status=reverted") == [mine]
    assert await listed(f"instance_uuid={theirs}") == [theirs]
    assert await listed("host=box1&migration_type=resize") == [theirs, mine]
    assert await listed("host=box2") == []
    assert await listed("project_id=p-other") == [theirs]
    assert await listed("user_id=nobody") == []
    assert await listed("changes-since=2100-01-01T00:00:00Z") == []
    assert await listed("changes-before=2100-01-01T00:00:00Z") == [theirs, mine]
    first = await api.json("/os-migrations?limit=1")
    (link,) = first["migrations_links"]
    marker = first["migrations"][0]["uuid"]
    assert link["href"].endswith(f"/os-migrations?limit=1&marker={marker}")
    assert await listed(f"limit=1&marker={marker}") == [mine]
    assert (await api.compute("GET", "/os-migrations?marker=nosuch")).status_code == 400
    assert (await api.compute("GET", "/os-migrations?colour=red")).status_code == 400
    assert (await api.at("2.79").compute("GET", "/os-migrations?user_id=x")).status_code == 400
    assert (await api.at("2.65").compute("GET", "/os-migrations?changes-before=x")).status_code == 400
    assert (await api.at("2.58").compute("GET", "/os-migrations?limit=x&colour=red")).status_code == 200
    assert (await owner.compute("GET", "/os-migrations")).status_code == 403
    assert (await owner.compute("GET", f"/servers/{theirs}/migrations")).status_code == 403
    assert await api.json(f"/servers/{theirs}/migrations") == {"migrations": []}
    assert (await api.compute("GET", f"/servers/{theirs}/migrations/1")).status_code == 404
    assert (await api.at("2.22").compute("GET", f"/servers/{theirs}/migrations")).status_code == 404
