# SPDX-License-Identifier: Apache-2.0
"""Where a new server goes, and how many a quota permits."""

from typing import Any

import httpx

from tests.service.api import Api, message, running_api


async def first_host(api: Api) -> tuple[str, str]:
    """The name of the only host, and of its hypervisor."""
    shown: dict[str, Any] = (await api.json("/os-hypervisors/detail"))["hypervisors"][0]
    return shown["service"]["host"], shown["hypervisor_hostname"]


async def test_an_administrator_names_the_host_from_2_74(api: Api) -> None:
    image = await api.image(visibility="public")
    host, node = await first_host(api)
    for named in ({"host": host}, {"hypervisor_hostname": node}, {"host": host, "hypervisor_hostname": node}):
        made = await api.create(image, **named)
        assert made.status_code == 202, made.text
        server = await api.until(made.json()["server"]["id"], "ACTIVE")
        assert server["OS-EXT-SRV-ATTR:host"] == host
        assert server["OS-EXT-SRV-ATTR:hypervisor_hostname"] == node
    for unknown in (
        {"host": "mars"},
        {"hypervisor_hostname": "mars"},
        {"host": "mars", "hypervisor_hostname": node},
    ):
        said = message(await api.create(image, **unknown), 400, "badRequest")
        assert "Compute host mars " in said
    assert "mars" in message(await api.create(image, host=host, hypervisor_hostname="mars"), 400, "badRequest")
    for bad in ("", "a b", 5):
        assert (await api.create(image, host=bad)).status_code == 400, bad
    said = message(await api.at("2.73").create(image, host=host), 400, "badRequest")
    assert "'host' was unexpected" in said
    member = api.as_("member")
    for named in ({"host": host}, {"host": "mars"}, {"hypervisor_hostname": node}):
        assert "requested_destination" in message(await member.create(image, **named), 403, "forbidden")


async def test_a_named_host_must_still_have_room(api: Api) -> None:
    image = await api.image()
    host, _ = await first_host(api)
    vast = {"name": "vast", "vcpus": 1, "ram": 1 << 30, "disk": 1}
    flavor = (await api.compute("POST", "/flavors", {"flavor": vast})).json()["flavor"]["id"]
    made = await api.create(image, host=host, flavorRef=flavor)
    assert made.status_code == 202, made.text
    server = await api.until(made.json()["server"]["id"], "ERROR")
    assert f"RamFilter refused {host}" in server["fault"]["message"]


async def test_as_many_are_made_as_the_quota_permits() -> None:
    async with running_api({("quota", "instances"): 3}) as admin:
        image = await admin.image(visibility="public")
        api = admin.as_("member")
        made = await api.create(image, name="many", min_count=2, max_count=5, return_reservation_id=True)
        assert made.status_code == 202, made.text
        found = (await api.json(f"/servers?reservation_id={made.json()['reservation_id']}"))["servers"]
        assert [server["name"] for server in found] == ["many-3", "many-2", "many-1"]
        for counts in ({}, {"max_count": 2}, {"min_count": 2}):
            assert "Quota exceeded" in message(await api.create(image, **counts), 403, "forbidden")
        await api.until(found[0]["id"], "ACTIVE")
        await api.compute("DELETE", f"/servers/{found[0]['id']}")
        await api.until(found[0]["id"], "GONE")
        assert "Requested 2" in message(await api.create(image, min_count=2, max_count=4), 403, "forbidden")
        assert (await api.create(image, max_count=4)).status_code == 202
        assert len((await api.json("/servers"))["servers"]) == 3


async def test_with_a_server_or_apart_from_it(api: Api) -> None:
    image = await api.image(visibility="public")
    here = await api.server(image)

    async def ask(caller: Api, hints: object) -> httpx.Response:
        server = {"name": "s", "imageRef": image, "flavorRef": "1", "networks": "none"}
        return await caller.compute("POST", "/servers", {"server": server, "os:scheduler_hints": hints})

    for servers in (here, [here], [here, here]):
        made = await ask(api, {"same_host": servers})
        assert made.status_code == 202, made.text
        await api.until(made.json()["server"]["id"], "ACTIVE")
    apart = await ask(api, {"different_host": [here]})
    fault = (await api.until(apart.json()["server"]["id"], "ERROR"))["fault"]
    assert "DifferentHostFilter refused box1 (has a server to be apart from)" in fault["message"]
    nothing = await ask(api, {"different_host": []})
    await api.until(nothing.json()["server"]["id"], "ACTIVE")
    for name in ("same_host", "different_host"):
        for bad in ("a server", 5, [5], None, ["00000000-0000-4000-8000-000000000000"]):
            assert name in message(await ask(api, {name: bad}), 400, "badRequest"), bad
        stranger = await ask(api.as_("member"), {name: here})
        assert f"Instance {here} could not be found." in message(stranger, 400, "badRequest")
    assert "not supported" in message(await ask(api, {"query": "[]"}), 400, "badRequest")
