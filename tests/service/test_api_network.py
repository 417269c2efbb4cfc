# SPDX-License-Identifier: Apache-2.0
"""Network v2.0 as it is read, and what Compute says of a server's networks."""

from collections.abc import Mapping
from typing import Any

from tests.service.api import Api, message, running_api

LAN = {
    ("network", "bridges"): ["lan"],
    ("network:lan", "bridge"): "br0",
    ("network:lan", "cidr"): "192.0.2.0/24",
    ("network:lan", "range"): "192.0.2.10-192.0.2.11",
    ("network:lan", "gateway"): "192.0.2.1",
    ("network:lan", "dns"): ["192.0.2.53"],
    ("network:lan", "mtu"): 1400,
}


async def read(api: Api, path: str, **query: Any) -> Any:
    reply = await api.call("GET", f"/network/v2.0{path}", params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def network_ids(api: Api) -> Mapping[str, str]:
    return {network["name"]: network["id"] for network in (await read(api, "/networks"))["networks"]}


async def test_versions_are_everybodys_and_nothing_else_is(api: Api) -> None:
    for path in ("/network", "/network/"):
        (version,) = (await api.cloud.http.get(path)).json()["versions"]
        assert (version["id"], version["status"]) == ("v2.0", "CURRENT")
    (link,) = version["links"]
    assert (await api.cloud.http.get(link["href"])).json()["resources"][0]["collection"] == "networks"
    assert (await api.cloud.http.get("/network/v2.0/networks")).status_code == 401
    made = await api.call("POST", "/network/v2.0/networks", json={"network": {"name": "mine"}})
    assert made.status_code == 405


async def test_networks_and_their_subnets() -> None:
    async with running_api(LAN) as api:
        networks = {network["name"]: network for network in (await read(api, "/networks"))["networks"]}
        assert list(networks) == ["kilonova", "lan"]
        lan = networks["lan"]
        assert (lan["mtu"], lan["is_default"], networks["kilonova"]["is_default"]) == (1400, False, True)
        assert (await read(api, f"/networks/{lan['id']}"))["network"] == lan
        assert (await read(api, "/networks", name="lan", fields="id"))["networks"] == [{"id": lan["id"]}]
        assert (await read(api, "/networks", is_default="true"))["networks"] == [networks["kilonova"]]
        assert (await read(api, "/networks", name="nosuch"))["networks"] == []
        by_name = await api.call("GET", "/network/v2.0/networks/lan")
        assert by_name.status_code == 404
        assert by_name.json()["NeutronError"]["message"] == "Network lan could not be found."
        (subnet,) = (await read(api, "/subnets", network_id=lan["id"]))["subnets"]
        assert lan["subnets"] == [subnet["id"]]
        assert (subnet["cidr"], subnet["gateway_ip"], subnet["enable_dhcp"]) == ("192.0.2.0/24", "192.0.2.1", False)
        assert subnet["allocation_pools"] == [{"start": "192.0.2.10", "end": "192.0.2.11"}]
        assert subnet["dns_nameservers"] == ["192.0.2.53"]
        assert (await read(api, f"/subnets/{subnet['id']}"))["subnet"] == subnet


async def test_pages() -> None:
    async with running_api(LAN) as api:
        first = await read(api, "/networks", limit=1)
        assert [network["name"] for network in first["networks"]] == ["kilonova"]
        following = first["networks_links"][0]["href"]
        second = (await api.call("GET", following)).json()
        assert [network["name"] for network in second["networks"]] == ["lan"]
        assert "networks_links" not in second
        assert (await api.call("GET", "/network/v2.0/networks?marker=nobody")).status_code == 400


async def test_a_server_on_the_networks_that_it_names() -> None:
    async with running_api(LAN) as api:
        image, ids = await api.image(), await network_ids(api)
        both = await api.server(image, networks=[{"uuid": ids["lan"]}, {"uuid": ids["kilonova"]}])
        server = (await api.json(f"/servers/{both}"))["server"]
        assert list(server["addresses"]) == ["lan", "kilonova"]
        assert server["addresses"]["lan"][0]["addr"] == "192.0.2.10"
        ports = (await read(api, "/ports", device_id=both))["ports"]
        assert [port["network_id"] for port in ports] == [ids["lan"], ids["kilonova"]]
        assert ports[0]["fixed_ips"][0]["ip_address"] == "192.0.2.10"
        macs = [entry["OS-EXT-IPS-MAC:mac_addr"] for [entry] in server["addresses"].values()]
        assert [port["mac_address"] for port in ports] == macs
        assert len(set(macs)) == 2
        drive = api.cloud.box.manager.driver.hypervisor.guests[both].config_drive  # type: ignore[attr-defined]
        assert b'"ip_address": "192.0.2.10"' in drive["openstack/latest/network_data.json"]

        shown = await api.json(f"/servers/{both}/ips")
        assert shown["addresses"]["lan"] == [{"version": 4, "addr": "192.0.2.10"}]
        assert await api.json(f"/servers/{both}/ips/lan") == {"lan": shown["addresses"]["lan"]}
        message(await api.compute("GET", f"/servers/{both}/ips/dmz"), 404, "itemNotFound")
        attachments = (await api.json(f"/servers/{both}/os-interface"))["interfaceAttachments"]
        assert [one["port_id"] for one in attachments] == [port["id"] for port in ports]
        assert {"tag", "port_state"} <= attachments[0].keys()
        assert attachments[0]["fixed_ips"] == ports[0]["fixed_ips"]
        one = await api.at("2.69").json(f"/servers/{both}/os-interface/{ports[1]['id']}")
        assert one["interfaceAttachment"]["net_id"] == ids["kilonova"]
        assert "tag" not in one["interfaceAttachment"]
        message(await api.compute("GET", f"/servers/{both}/os-interface/{both}"), 404, "itemNotFound")
        (group,) = (await api.json(f"/servers/{both}/os-security-groups"))["security_groups"]
        assert group["name"] == "default"

        await api.server(image, networks=[{"uuid": ids["lan"]}])
        full = await api.create(image, networks=[{"uuid": ids["kilonova"]}, {"uuid": ids["lan"]}])
        lost = await api.until(full.json()["server"]["id"], "ERROR")
        assert "no address of lan is free" in lost["fault"]["message"]
        assert lost["addresses"] == {}


async def test_a_fixed_ip_is_refused_only_when_taken_foreign_or_no_address_of_the_network() -> None:
    async with running_api(LAN) as api:
        image, ids = await api.image(), await network_ids(api)

        def on(name: str, fixed_ip: str) -> dict[str, Any]:
            return {"networks": [{"uuid": ids[name], "fixed_ip": fixed_ip}]}

        chosen = await api.server(image, **on("lan", "192.0.2.11"))
        assert (await api.json(f"/servers/{chosen}/ips/lan"))["lan"][0]["addr"] == "192.0.2.11"
        for fixed_ip, words in (
            ("192.0.2.11", "already in use"),
            ("192.0.2.1", "outside the range for servers"),
            ("192.0.2.99", "outside the range for servers"),
            ("10.9.9.9", "not a valid ip address for network"),
        ):
            assert words in message(await api.create(image, **on("lan", fixed_ip)), 400, "badRequest")
        several = await api.create(image, **on("lan", "192.0.2.10"), min_count=2)
        assert "max_count cannot be greater than 1" in message(several, 400, "badRequest")

        both = [{"uuid": ids["kilonova"]}, {"uuid": ids["lan"], "fixed_ip": "192.0.2.10"}]
        second = await api.server(image, networks=both)
        assert (await api.json(f"/servers/{second}/ips/lan"))["lan"][0]["addr"] == "192.0.2.10"
        await api.compute("DELETE", f"/servers/{chosen}")
        await api.until(chosen, "GONE")
        await api.server(image, **on("lan", "192.0.2.11"))


async def test_ports_and_groups_are_a_projects_own(api: Api) -> None:
    image = await api.image(visibility="public")
    mine, other = await api.server(image), api.as_("member")
    theirs = await other.server(image)
    assert {port["device_id"] for port in (await read(api, "/ports"))["ports"]} == {mine, theirs}
    (port,) = (await read(other, "/ports"))["ports"]
    assert (port["device_id"], port["status"]) == (theirs, "ACTIVE")
    assert "binding:host_id" not in port
    assert (await read(other, f"/ports/{port['id']}"))["port"] == port
    address = port["fixed_ips"][0]["ip_address"]
    found = await read(api, "/ports", fixed_ips=f"ip_address={address}")
    assert [one["device_id"] for one in found["ports"]] == [theirs]
    assert (await read(other, "/ports", device_id=mine))["ports"] == []
    (own,) = (await read(api, "/ports", device_id=mine))["ports"]
    assert (await other.call("GET", f"/network/v2.0/ports/{own['id']}")).status_code == 404
    assert (await other.compute("GET", f"/servers/{mine}/os-interface")).status_code == 404

    (group,) = (await read(other, "/security-groups"))["security_groups"]
    assert (group["name"], group["project_id"]) == ("default", "p-other")
    assert {rule["direction"] for rule in group["security_group_rules"]} == {"ingress", "egress"}
    (admins,) = (await read(api, "/security-groups", name="default"))["security_groups"]
    assert admins["id"] != group["id"]
    named = {"security_groups": [{"name": group["id"]}]}
    assert (await other.create(image, **named)).status_code == 202
    assert "security group" in message(await api.create(image, **named), 400, "badRequest")

    await other.act(theirs, {"os-stop": None})
    await other.until(theirs, "SHUTOFF")
    (port,) = (await read(other, "/ports", device_id=theirs))["ports"]
    assert port["status"] == "DOWN"
    await other.compute("DELETE", f"/servers/{theirs}")
    await other.until(theirs, "GONE")
    assert (await read(other, "/ports", device_id=theirs))["ports"] == []


async def test_what_clients_ask_besides(api: Api) -> None:
    for none in ("floatingips", "routers", "quotas"):
        assert await read(api, f"/{none}") == {none: []}
    assert (await read(api, "/availability_zones"))["availability_zones"][0]["name"] == "nova"
    aliases = [entry["alias"] for entry in (await read(api, "/extensions"))["extensions"]]
    assert "security-group" in aliases
    assert "availability_zone" not in aliases  # by it clients list each of Compute's zones once more
    assert (await read(api, "/extensions/net-mtu"))["extension"]["alias"] == "net-mtu"
    assert (await api.call("GET", "/network/v2.0/extensions/router")).status_code == 404
    rules = (await read(api, "/security-group-rules", direction="egress"))["security_group_rules"]
    assert (await read(api, f"/security-group-rules/{rules[0]['id']}"))["security_group_rule"] == rules[0]


async def test_quotas_of_networks_are_no_limits(api: Api) -> None:
    await api.server(await api.image())
    (port,) = (await read(api, "/ports"))["ports"]
    project = port["project_id"]
    for path in ("", "/default"):
        assert set((await read(api, f"/quotas/{project}{path}"))["quota"].values()) == {-1}
    details = (await read(api, f"/quotas/{project}/details"))["quota"]
    assert details["port"] == {"limit": -1, "used": 1, "reserved": 0}
    assert details["security_group"]["used"] == 1
    member = api.as_("member")
    assert (await member.call("GET", f"/network/v2.0/quotas/{project}")).status_code == 403
    assert set((await read(member, "/quotas/p-other"))["quota"].values()) == {-1}
    for caller, status in ((member, 403), (api, 204)):
        assert (await caller.call("DELETE", "/network/v2.0/quotas/p-other")).status_code == status
