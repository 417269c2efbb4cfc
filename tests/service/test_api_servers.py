# SPDX-License-Identifier: Apache-2.0
"""Servers over HTTP: create, look, list, rename, act, delete."""

import base64
from typing import Any

import pytest

from tests.service.api import Api, message

NOTHING = "00000000-0000-4000-8000-000000000000"


async def test_the_life_of_a_server(api: Api) -> None:
    image = await api.image()
    reply = await api.create(image, name="Web 1", metadata={"a": "b"}, description="d", tags=["t"])
    made = reply.json()["server"]
    assert reply.status_code == 202
    assert made.keys() == {"id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass"}
    assert reply.headers["Location"] == made["links"][0]["href"]
    server = await api.until(made["id"], "ACTIVE")
    assert (server["name"], server["metadata"], server["description"]) == ("Web 1", {"a": "b"}, "d")
    assert (server["tags"], server["OS-EXT-SRV-ATTR:hostname"]) == (["t"], "web-1")
    assert (server["OS-EXT-STS:power_state"], server["host_status"]) == (1, "UP")
    assert len(server["addresses"]["kilonova"]) == 1

    listed = (await api.json(f"/servers/{made['id']}/os-instance-actions"))["instanceActions"]
    request_id = reply.headers["x-openstack-request-id"]
    assert [(one["action"], one["request_id"], one["message"]) for one in listed] == [("create", request_id, None)]
    action = (await api.json(f"/servers/{made['id']}/os-instance-actions/{request_id}"))["instanceAction"]
    assert {event["result"] for event in action["events"]} == {"Success"}

    deleted = await api.compute("DELETE", f"/servers/{made['id']}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    await api.until(made["id"], "GONE")
    assert (await api.compute("DELETE", f"/servers/{made['id']}")).status_code == 404
    after = (await api.json(f"/servers/{made['id']}/os-instance-actions"))["instanceActions"]
    assert [one["action"] for one in after] == ["delete", "create"]
    early = await api.at("2.20").compute("GET", f"/servers/{made['id']}/os-instance-actions")
    assert early.status_code == 404


async def test_what_the_clients_send(api: Api) -> None:
    image = await api.image()
    await api.compute("POST", "/os-keypairs", {"keypair": {"name": "mine"}})
    root = {
        "uuid": image,
        "source_type": "image",
        "destination_type": "local",
        "boot_index": 0,
        "delete_on_termination": True,
    }
    data = base64.b64encode(b"#!/bin/sh\n" * 50).decode()
    server_id = await api.server(
        image,
        min_count=1,
        max_count=1,
        block_device_mapping_v2=[root],
        key_name="mine",
        user_data=data,
        config_drive=True,
        security_groups=[{"name": "default"}],
        availability_zone="nova",
    )
    server = (await api.json(f"/servers/{server_id}"))["server"]
    assert (server["key_name"], server["config_drive"]) == ("mine", "True")
    assert server["OS-EXT-SRV-ATTR:user_data"] == data
    old = {"server": {"name": "old", "imageRef": image, "flavorRef": 1}}
    reply = await api.at("2.1").compute("POST", "/servers", old)
    assert reply.status_code == 202
    await api.until(reply.json()["server"]["id"], "ACTIVE")
    assert "'networks' is a required" in message(await api.compute("POST", "/servers", old), 400, "badRequest")
    none = await api.server(image, networks="none")
    assert (await api.json(f"/servers/{none}"))["server"]["addresses"] == {}


async def test_several_at_once(api: Api) -> None:
    image = await api.image()
    reply = await api.create(image, name="many", min_count=2, max_count=3, return_reservation_id=True)
    reservation = reply.json()["reservation_id"]
    assert reply.json().keys() == {"reservation_id"}
    for server in (await api.json(f"/servers?reservation_id={reservation}"))["servers"]:
        await api.until(server["id"], "ACTIVE")
    found = (await api.json(f"/servers/detail?reservation_id={reservation}"))["servers"]
    assert [server["name"] for server in found] == ["many-3", "many-2", "many-1"]
    assert [server["OS-EXT-SRV-ATTR:launch_index"] for server in found] == [2, 1, 0]
    assert (await api.json("/servers?reservation_id=r-nothing"))["servers"] == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"imageRef": NOTHING}, NOTHING),
        ({"imageRef": ""}, "imageRef"),
        ({"flavorRef": "no-flavor"}, "no-flavor"),
        ({"key_name": "no-key"}, "no-key"),
        ({"networks": [{"uuid": NOTHING}]}, f"Network {NOTHING} could not be found"),
        ({"networks": [{"uuid": "lan"}]}, "the uuid of a network"),
        ({"networks": [{"port": NOTHING}]}, "A port cannot be chosen"),
        ({"networks": [{"uuid": NOTHING, "tag": "a,b"}]}, "A tag has 1 to 60 characters"),
        ({"networks": [{"uuid": NOTHING, "fixed_ip": "2001:db8::1"}]}, "A fixed_ip is an IPv4 address"),
        ({"networks": [{"uuid": NOTHING, "fixed_ip": 9}]}, "A fixed_ip is an IPv4 address"),
        ({"networks": [{"uuid": NOTHING, "fixed_ip": "10.0.0.9"}]}, f"Network {NOTHING} could not be found"),
        ({"networks": [{"uuid": NOTHING}, {"uuid": NOTHING}]}, "one NIC at most"),
        ({"networks": "all"}, '"auto" or "none"'),
        ({"security_groups": [{"name": "web"}]}, "security group"),
        ({"user_data": "not base64!"}, "base64"),
        ({"availability_zone": "mars"}, "mars"),
        ({"min_count": 3, "max_count": 2}, "min_count must be <= max_count"),
        ({"personality": []}, "'personality' was unexpected"),
        ({"block_device_mapping_v2": [{"boot_index": 0, "source_type": "volume", "uuid": NOTHING}]}, "root disk"),
        ({"block_device_mapping_v2": [{}, {}]}, "root disk"),
    ],
)
async def test_what_no_server_can_be_made_of(api: Api, fields: dict[str, Any], words: str) -> None:
    image = await api.image()
    assert words in message(await api.create(image, **fields), 400, "badRequest")
    assert (await api.json("/servers"))["servers"] == []


async def test_images_and_flavors_must_fit(api: Api) -> None:
    image = await api.image()
    queued = (await api.call("POST", "/image/v2/images", json={"name": "q"})).json()["id"]
    assert "not active" in message(await api.create(queued), 400, "badRequest")
    hungry = await api.image(min_ram=129)
    assert "memory is too small" in message(await api.create(hungry), 400, "badRequest")
    wide = await api.image(min_disk=2)
    assert "disk is too small" in message(await api.create(wide), 400, "badRequest")
    flavor = {
        "name": "secret",
        "ram": 64,
        "vcpus": 1,
        "disk": 1,
        "id": "s",
        "os-flavor-access:is_public": False,
    }
    await api.compute("POST", "/flavors", {"flavor": flavor})
    other = api.as_("member")
    public = await api.image(visibility="public")
    assert "Flavor s" in message(await other.create(public, flavorRef="s"), 400, "badRequest")
    assert image in message(await other.create(image), 400, "badRequest")
    assert message(await api.create(image, metadata={f"k{at}": "" for at in range(129)}), 403, "forbidden")
    assert message(await api.create(image, max_count=1001), 403, "forbidden")
    hints = {"server": {}, "os:scheduler_hints": {"query": "[]"}}
    hints["server"] = {"name": "s", "imageRef": image, "flavorRef": "1", "networks": "auto"}
    assert "hint query is not supported" in message(await api.compute("POST", "/servers", hints), 400, "badRequest")


async def test_no_host_is_told_by_the_server_itself(api: Api) -> None:
    flavor = {"name": "vast", "ram": 1 << 30, "vcpus": 1, "disk": 1, "id": "v"}
    await api.compute("POST", "/flavors", {"flavor": flavor})
    reply = await api.create(await api.image(), flavorRef="v")
    server = await api.until(reply.json()["server"]["id"], "ERROR")
    assert server["fault"]["message"].startswith("No valid host was found. RamFilter refused box1")
    path = f"/servers/{server['id']}/os-instance-actions"
    action = (await api.json(path))["instanceActions"][0]
    assert action["message"] == server["fault"]["message"]
    # A member reads neither what hosts are called nor how much of them is free.
    plain = "No valid host was found. There are not enough hosts available."
    ann = api.as_("member", project=server["tenant_id"])
    assert (await ann.json(f"/servers/{server['id']}"))["server"]["fault"]["message"] == plain
    assert (await ann.json(path))["instanceActions"][0]["message"] == plain
    action = (await ann.json(f"{path}/{action['request_id']}"))["instanceAction"]
    assert "box1" not in str(action)


async def test_names_and_other_odd_ids_are_not_found(api: Api) -> None:
    for odd in (NOTHING, "server", "a%20b", "%C3%A4", "x" * 3000, "a%2Fb", "%FF"):
        assert message(await api.compute("GET", f"/servers/{odd}"), 404, "itemNotFound")
        assert message(await api.compute("DELETE", f"/servers/{odd}"), 404, "itemNotFound")
        assert message(await api.act(odd, {"os-stop": None}), 404, "itemNotFound")
    assert "server_id" in message(await api.compute("GET", "/servers/%00"), 400, "badRequest")


async def test_stop_start_reboot_and_console(api: Api) -> None:
    server_id = await api.server(await api.image(), name="guest")
    action = f"/servers/{server_id}/action"

    async def act(body: Any) -> int:
        return (await api.compute("POST", action, body)).status_code

    assert await act({"os-stop": None}) == 202
    server = await api.until(server_id, "SHUTOFF")
    assert server["OS-EXT-STS:power_state"] == 4
    assert "while it is in vm_state stopped" in message(
        await api.compute("POST", action, {"os-stop": None}), 409, "conflictingRequest"
    )
    assert await act({"os-start": None}) == 202
    await api.until(server_id, "ACTIVE")
    for kind in ("SOFT", "HARD"):
        reply = await api.compute("POST", action, {"reboot": {"type": kind}})
        assert (reply.status_code, reply.content) == (202, b"")
        await api.until(server_id, "ACTIVE")
    whole = (await api.compute("POST", action, {"os-getConsoleOutput": {}})).json()["output"]
    assert whole.count("guest login:") >= 3
    last = (await api.compute("POST", action, {"os-getConsoleOutput": {"length": "1"}})).json()["output"]
    assert last.count("login:") == 1
    two = (await api.compute("POST", action, {"os-getConsoleOutput": {"length": 2}})).json()["output"]
    assert two.split("\n") == ["", last]
    assert (await api.compute("POST", action, {"os-getConsoleOutput": {"length": 0}})).json() == {"output": ""}
    for bad in (
        {},
        {"dance": None},
        {"os-stop": None, "os-start": None},
        {"reboot": {}},
        {"reboot": {"type": "X"}},
    ):
        assert await act(bad) == 400, bad
    assert await act({"os-getConsoleOutput": {"length": -2}}) == 400


async def test_renaming(api: Api) -> None:
    server_id = await api.server(await api.image())
    path = f"/servers/{server_id}"
    reply = await api.compute("PUT", path, {"server": {"name": "new", "description": "text"}})
    assert reply.json()["server"] == (await api.json(path))["server"]
    old = await api.at("2.74").compute("PUT", path, {"server": {"name": "newer"}})
    assert old.json()["server"]["name"] == "newer"
    assert not [name for name in old.json()["server"] if name.startswith("OS-EXT")]
    assert (await api.json(path))["server"]["description"] == "text"
    for bad in (
        {"server": None},
        {"server": {"name": None}},
        {"server": {"name": ""}},
        {"server": {"status": "x"}},
    ):
        assert (await api.compute("PUT", path, bad)).status_code == 400
    for version in ("2.1", "2.90"):
        nothing = await api.at(version).compute("PUT", path, {"server": {}})
        assert (nothing.status_code, nothing.json()["server"]["name"]) == (200, "newer")
    for text in ("", None):
        described = await api.compute("PUT", path, {"server": {"description": text}})
        assert described.json()["server"]["description"] == text
    early = {"server": {"description": "d"}}
    assert (await api.at("2.18").compute("PUT", path, early)).status_code == 400
    assert (await api.compute("PUT", f"/servers/{NOTHING}", {"server": {"name": "x"}})).status_code == 404


async def test_lists_filters_and_pages(api: Api) -> None:
    image = await api.image()
    for name in ("web-1", "web-2", "db"):
        server_id = await api.server(image, name=name, tags=[name])
    await api.act(server_id, {"os-stop": None})
    await api.until(server_id, "SHUTOFF")
    assert await api.names("/servers/detail") == ["db", "web-2", "web-1"]
    assert await api.names("/servers/detail?name=web") == ["web-2", "web-1"]
    assert await api.names("/servers/detail?status=active") == ["web-2", "web-1"]
    assert await api.names("/servers/detail?name=%5Eweb-1%24") == ["web-1"]
    assert await api.names("/servers/detail?status=SHUTOFF&deleted=False&host=box1") == ["db"]
    assert await api.names("/servers/detail?status=RESCUE") == []
    assert await api.names(f"/servers/detail?image={image}&flavor=1&limit=2") == ["db", "web-2"]
    assert await api.names("/servers/detail?tags=db") == ["db"]
    assert await api.names("/servers/detail?not-tags-any=db,web-1") == ["web-2"]
    assert await api.names("/servers/detail?sort_key=display_name&sort_dir=asc") == ["db", "web-1", "web-2"]
    assert await api.names("/servers/detail?changes-since=2001-01-01T00:00:00Z") == ["db", "web-2", "web-1"]
    assert await api.names("/servers/detail?changes-before=2001-01-01T00:00:00Z") == []
    brief = (await api.json("/servers?limit=1"))["servers"][0]
    assert brief.keys() == {"id", "name", "links"}
    for bad in (
        "limit=x",
        "marker=x",
        "name=(",
        "name=(a%2B)%2B",
        "sort_key=mood",
        "sort_dir=up&sort_key=uuid",
    ):
        assert (await api.compute("GET", f"/servers?{bad}")).status_code == 400, bad
    assert (await api.compute("GET", "/servers?status=MELTED")).status_code == 400
    assert (await api.at("2.37").compute("GET", "/servers?status=MELTED")).json() == {"servers": []}


async def test_pages_lead_to_the_end(api: Api) -> None:
    await api.create(await api.image(), name="n", max_count=5)
    for kind in ("/servers", "/servers/detail"):
        seen: list[str] = []
        path = f"{kind}?limit=2&name=n"
        while path:
            page = await api.json(path)
            seen += [server["name"] for server in page["servers"]]
            href = page.get("servers_links", [{"href": ""}])[0]["href"]
            assert "limit=2&name=n&marker=" in href or not href
            path = href.removeprefix("http://box/compute/v2.1")
        assert seen == ["n-5", "n-4", "n-3", "n-2", "n-1"]
    for server in (await api.json("/servers"))["servers"]:
        await api.until(server["id"], "ACTIVE")


async def test_projects_are_apart(api: Api) -> None:
    server_id = await api.server(await api.image())
    public = await api.image(visibility="public")
    other = api.as_("member")
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", {"server": {"name": "x"}}),
        ("DELETE", "", None),
        ("POST", "/action", {"os-stop": None}),
        ("GET", "/metadata", None),
        ("GET", "/os-instance-actions", None),
    ):
        reply = await other.compute(method, f"/servers/{server_id}{path}", body)
        assert message(reply, 404, "itemNotFound")
    theirs = await other.server(public, name="theirs")
    assert await other.names("/servers/detail") == ["theirs"]
    assert await other.names("/servers/detail?deleted=False&host=elsewhere&project_id=p1") == ["theirs"]
    assert message(await other.compute("GET", "/servers?all_tenants=True"), 403, "forbidden")
    assert message(await other.compute("GET", "/servers?status=deleted"), 403, "forbidden")
    assert await api.names("/servers/detail") == ["server"]
    assert await api.names("/servers/detail?all_tenants=1") == ["theirs", "server"]
    for whose in ("project_id", "tenant_id"):
        assert await api.names(f"/servers/detail?all_tenants=1&{whose}=p-other") == ["theirs"]
        # Without all_tenants it has no effect, says the reference.
        assert await api.names(f"/servers/detail?{whose}=p-other") == ["server"]
    seen = (await other.json(f"/servers/{theirs}"))["server"]
    assert [name for name in seen if name.startswith("OS-EXT-SRV-ATTR") or name == "host_status"] == [
        "OS-EXT-SRV-ATTR:hostname"
    ]
    assert (await api.json(f"/servers/{theirs}"))["server"]["tenant_id"] == "p-other"


async def test_deleted_servers_are_listed_for_administrators_who_ask(api: Api) -> None:
    server_id = await api.server(await api.image())
    await api.compute("DELETE", f"/servers/{server_id}")
    await api.until(server_id, "GONE")
    assert await api.names("/servers/detail") == []
    found = (await api.json("/servers/detail?deleted=True"))["servers"]
    assert [server["status"] for server in found] == ["DELETED"]
    assert await api.names("/servers/detail?status=DELETED") == ["server"]
