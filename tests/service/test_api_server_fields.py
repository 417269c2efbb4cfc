# SPDX-License-Identifier: Apache-2.0
"""What is written down of a server and shown again, and the filters of lists that came late."""

from typing import Any

import pytest

from tests.service.api import Api, message


async def shown(api: Api, server_id: str) -> dict[str, Any]:
    server: dict[str, Any] = (await api.json(f"/servers/{server_id}"))["server"]
    return server


async def test_addresses_to_reach_it_by_are_kept_in_their_normal_form(api: Api) -> None:
    image = await api.image()
    server_id = await api.server(image, accessIPv4="192.0.2.1", accessIPv6="2001:DB8:0:0::5")
    server = await shown(api, server_id)
    assert (server["accessIPv4"], server["accessIPv6"]) == ("192.0.2.1", "2001:db8::5")
    body = {"server": {"accessIPv4": "192.0.2.9", "accessIPv6": "::babe:202:202"}}
    for version in ("2.1", "2.75"):
        changed = (await api.at(version).compute("PUT", f"/servers/{server_id}", body)).json()["server"]
        assert (changed["accessIPv4"], changed["accessIPv6"]) == ("192.0.2.9", "::babe:202:202")
        assert ("OS-EXT-STS:vm_state" in changed) == (version == "2.75")
    assert (await shown(api, server_id))["accessIPv4"] == "192.0.2.9"
    for bad in ("192.0.2", "", None, 5, "::1"):
        refused = await api.compute("PUT", f"/servers/{server_id}", {"server": {"accessIPv4": bad}})
        assert refused.status_code == 400, bad
    for bad in ("192.0.2.1", "fe80::1%eth0", ":"):
        assert (await api.create(image, accessIPv6=bad)).status_code == 400, bad


async def test_the_disk_configuration_is_kept_and_shown(api: Api) -> None:
    image = await api.image()
    made = (await api.create(image, **{"OS-DCF:diskConfig": "AUTO"})).json()["server"]
    assert made["OS-DCF:diskConfig"] == "AUTO"
    assert (await api.until(made["id"], "ACTIVE"))["OS-DCF:diskConfig"] == "AUTO"
    path = f"/servers/{made['id']}"
    changed = await api.compute("PUT", path, {"server": {"OS-DCF:diskConfig": "MANUAL"}})
    assert changed.json()["server"]["OS-DCF:diskConfig"] == "MANUAL"
    bad = await api.compute("PUT", path, {"server": {"OS-DCF:diskConfig": "manual"}})
    assert message(bad, 400, "badRequest")
    plain = await api.server(image)
    assert (await shown(api, plain))["OS-DCF:diskConfig"] == "MANUAL"


async def test_host_names_from_2_90(api: Api) -> None:
    image = await api.image(visibility="public")
    owner = api.as_("member")
    server_id = await owner.server(image, hostname="web-1")
    assert (await shown(owner, server_id))["OS-EXT-SRV-ATTR:hostname"] == "web-1"
    assert "OS-EXT-SRV-ATTR:hostname" not in await shown(owner.at("2.89"), server_id)
    path = f"/servers/{server_id}"
    changed = await owner.compute("PUT", path, {"server": {"hostname": "web-2"}})
    assert changed.json()["server"]["OS-EXT-SRV-ATTR:hostname"] == "web-2"
    assert (await shown(owner, server_id))["name"] == "server"
    for bad in ("", "a", "-ab", "a.example", "ä" * 3, "x" * 64, None):
        assert (await owner.compute("PUT", path, {"server": {"hostname": bad}})).status_code == 400, bad
    early = await owner.at("2.89").compute("PUT", path, {"server": {"hostname": "web-3"}})
    assert "'hostname' was unexpected" in message(early, 400, "badRequest")
    several = await owner.create(image, hostname="x" * 63, max_count=2, return_reservation_id=True)
    reservation = several.json()["reservation_id"]
    listed = (await owner.json(f"/servers/detail?reservation_id={reservation}"))["servers"]
    assert [one["OS-EXT-SRV-ATTR:hostname"] for one in listed] == [f"{'x' * 61}-2", f"{'x' * 61}-1"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("vm_state=active", {"on"}),
        ("vm_state=stopped&power_state=4", {"off"}),
        ("task_state=spawning", set()),
        ("availability_zone=nova", {"on", "off"}),
        ("availability_zone=mars", set()),
        ("key_name=mine", {"on"}),
        ("config_drive=true", {"off"}),
        ("user_id=u-other", {"on", "off"}),
        ("user_id=somebody", set()),
        ("progress=0", {"on", "off"}),
        ("progress=7", set()),
        ("created_at=2001-01-01T00:00:00Z", set()),
        ("terminated_at=2001-01-01T00:00:00Z", set()),
        ("ip6=fe80", set()),
        ("locked=true", {"off"}),
        ("locked=false", {"on"}),
    ],
)
async def test_filters_for_everybody(api: Api, query: str, found: set[str]) -> None:
    """From 2.83, but for the last three, which are older; administrators had them before."""

    owner = api.as_("member")
    image = await api.image(visibility="public")
    assert (await owner.compute("POST", "/os-keypairs", {"keypair": {"name": "mine"}})).status_code == 201
    await owner.server(image, name="on", key_name="mine")
    off = await owner.server(image, name="off", config_drive=True)
    for body in ({"os-stop": None}, {"lock": None}):
        assert (await owner.act(off, body)).status_code == 202
    await owner.until(off, "SHUTOFF")

    async def names(caller: Api, asked: str) -> set[str]:
        return {one["name"] for one in (await caller.json(f"/servers/detail?{asked}"))["servers"]}

    old = found if query.startswith(("ip6", "locked")) else {"on", "off"}
    assert await names(owner.at("2.82"), query) == old
    assert await names(owner, query) == found
    assert await names(api.at("2.82"), f"all_tenants=1&{query}") == found


async def test_a_server_is_found_by_the_second_of_its_making(api: Api) -> None:
    server_id = await api.server(await api.image())
    server = await shown(api, server_id)
    for argument, at in (("created_at", server["created"]), ("launched_at", server["OS-SRV-USG:launched_at"])):
        listed = (await api.json(f"/servers?{argument}={at}"))["servers"]
        assert [one["id"] for one in listed] == [server_id]


async def test_the_topology_from_2_78(api: Api) -> None:
    server_id = await api.server(await api.image())
    assert await api.json(f"/servers/{server_id}/topology") == {"nodes": [], "pagesize_kb": None}
    assert (await api.at("2.77").compute("GET", f"/servers/{server_id}/topology")).status_code == 404
    assert (await api.as_("member").compute("GET", f"/servers/{server_id}/topology")).status_code == 404
