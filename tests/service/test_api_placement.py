# SPDX-License-Identifier: Apache-2.0
"""Why a server is on its host, or on none; and a host in the availability zone."""

from tests.service.api import Api, message, running_api

BIG = {("quota", "ram"): -1, ("quota", "cores"): -1}


async def test_why_a_server_is_where_it_is(api: Api) -> None:
    server_id = await api.server(await api.image())
    shown = (await api.json(f"/kilonova/servers/{server_id}/placement"))["placement"]
    (one,) = shown["tries"]
    assert (shown["action"], shown["state"], shown["message"]) == ("create", "done", None)
    assert (one["host"], one["hosts"], one["candidates"], one["refused"], one["failure"]) == ("box1", 1, 1, [], None)
    assert [weighed["host"] for weighed in one["weighed"]] == ["box1"]
    (action,) = (await api.json(f"/servers/{server_id}/os-instance-actions"))["instanceActions"]
    assert shown["request_id"] == action["request_id"]


async def test_why_no_host_took_a_server() -> None:
    async with running_api(BIG) as api:
        body = {"name": "huge", "vcpus": 1, "ram": 1 << 27, "disk": 1}
        flavor = (await api.compute("POST", "/flavors", {"flavor": body})).json()["flavor"]["id"]
        server_id = (await api.create(await api.image(), flavorRef=flavor)).json()["server"]["id"]
        await api.until(server_id, "ERROR")
        shown = (await api.json(f"/kilonova/servers/{server_id}/placement"))["placement"]
        (one,) = shown["tries"]
        (refused,) = one["refused"]
        assert (shown["state"], one["host"], one["candidates"]) == ("failed", None, 0)
        assert (refused["filter"], refused["count"], refused["hosts"]) == ("RamFilter", 1, ["box1"])
        assert refused["reason"].startswith("memory: 134217728 MiB requested")
        assert shown["message"].startswith("No valid host was found. RamFilter refused box1")


async def test_only_administrators_see_it(api: Api) -> None:
    owner = api.as_("member")
    server_id = await owner.server(await api.image(visibility="public"))
    path = f"/kilonova/servers/{server_id}/placement"
    assert message(await owner.compute("GET", path), 403, "forbidden")
    assert (await api.json(path))["placement"]["server_id"] == server_id
    assert message(await api.compute("GET", "/kilonova/servers/nothing/placement"), 404, "itemNotFound")


async def test_a_host_in_the_availability_zone(api: Api) -> None:
    image = await api.image(visibility="public")
    for zone in ("nova:box1", ":box1", "nova:box1:box1", "nova::box1"):
        server_id = await api.server(image, availability_zone=zone)
        server = (await api.json(f"/servers/{server_id}"))["server"]
        assert (server["OS-EXT-AZ:availability_zone"], server["OS-EXT-SRV-ATTR:host"]) == ("nova", "box1")
    nowhere = await api.create(image, availability_zone="nova:box9")
    assert "box9 could not be found" in message(nowhere, 400, "badRequest")
    for zone in ("nova:", "nova:a:b:c"):
        refused = message(await api.create(image, availability_zone=zone), 400, "badRequest")
        assert refused.endswith("An availability zone with a host has the form ZONE:HOST or ZONE:HOST:NODE.")
    twice = await api.create(image, availability_zone="nova:box1", host="box1")
    assert "A host is given twice" in message(twice, 400, "badRequest")
    member = api.as_("member")
    assert message(await member.create(image, availability_zone="nova:box1"), 403, "forbidden")
