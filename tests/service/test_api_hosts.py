# SPDX-License-Identifier: Apache-2.0
"""Hypervisors, services and availability zones: an operator's view."""

import json
import re
from typing import Any

from tests.service.api import Api, message, running_api, until

NOTHING = "00000000-0000-4000-8000-000000000000"


async def only(api: Api, path: str, key: str) -> dict[str, Any]:
    (found,) = (await api.json(path))[key]
    return found


async def test_hypervisors_by_microversion() -> None:
    async with running_api() as newest:
        api = newest.at("2.87")
        server_id = await api.server(await api.image(), name="guest")
        node = await only(api, "/os-hypervisors/detail", "hypervisors")
        assert node.keys() == {
            "id", "hypervisor_hostname", "state", "status", "current_workload", "disk_available_least",
            "free_disk_gb", "free_ram_mb", "local_gb", "local_gb_used", "memory_mb", "memory_mb_used",
            "running_vms", "vcpus", "vcpus_used", "cpu_info", "host_ip", "hypervisor_type",
            "hypervisor_version", "service",
        }  # fmt: skip
        assert (node["hypervisor_hostname"], node["state"], node["status"]) == ("box1", "up", "enabled")
        assert (node["vcpus_used"], node["memory_mb_used"], node["running_vms"]) == (1, 128, 1)
        assert node["free_ram_mb"] == node["memory_mb"] - 128
        assert node["cpu_info"]["arch"] == "x86_64"
        assert (await api.json(f"/os-hypervisors/{node['id']}"))["hypervisor"] == node
        brief = await only(api, "/os-hypervisors", "hypervisors")
        assert brief.keys() == {"id", "hypervisor_hostname", "state", "status"}
        assert message(await api.compute("GET", "/os-hypervisors/box1"), 400, "badRequest")
        assert message(await api.compute("GET", f"/os-hypervisors/{NOTHING}"), 404, "itemNotFound")

        with_servers = await only(api, "/os-hypervisors?with_servers=true", "hypervisors")
        assert with_servers["servers"] == [{"uuid": server_id, "name": "guest"}]
        await api.compute("DELETE", f"/servers/{server_id}")
        await api.until(server_id, "GONE")
        assert (await only(api, "/os-hypervisors?with_servers=true", "hypervisors"))["servers"] == []
        before = await only(api.at("2.74"), "/os-hypervisors?with_servers=true", "hypervisors")
        assert "servers" not in before
        now = await only(newest, "/os-hypervisors/detail", "hypervisors")
        gone = {name for name in node if name not in now}
        assert gone == {
            "current_workload", "disk_available_least", "free_disk_gb", "free_ram_mb", "local_gb", "local_gb_used",
            "memory_mb", "memory_mb_used", "running_vms", "vcpus", "vcpus_used", "cpu_info",
        }  # fmt: skip
        assert now.keys() - node.keys() == {"uptime"}


async def test_old_hypervisors_have_numbers(api: Api) -> None:
    old = api.at("2.27")
    node = await only(old, "/os-hypervisors/detail", "hypervisors")
    assert isinstance(node["id"], int)
    assert isinstance(node["service"]["id"], int)
    assert json.loads(node["cpu_info"])["arch"] == "x86_64"
    assert (await old.json(f"/os-hypervisors/{node['id']}"))["hypervisor"] == node
    assert message(await old.compute("GET", "/os-hypervisors/box1"), 404, "itemNotFound")
    assert await only(old, "/os-hypervisors/box/search", "hypervisors")
    await api.server(await api.image())
    assert len((await only(old, "/os-hypervisors/box1/servers", "hypervisors"))["servers"]) == 1
    assert (await old.compute("GET", "/os-hypervisors/mars/search")).status_code == 404
    assert (await api.compute("GET", "/os-hypervisors/box/search")).status_code == 404


async def test_pages_patterns_statistics_and_uptime(api: Api) -> None:
    page = await api.json("/os-hypervisors?limit=1")
    node_id = page["hypervisors"][0]["id"]
    assert page["hypervisors_links"][0]["href"].endswith(f"/os-hypervisors?limit=1&marker={node_id}")
    assert await api.json(f"/os-hypervisors?marker={node_id}") == {"hypervisors": []}
    assert (await api.compute("GET", "/os-hypervisors?marker=x")).status_code == 400
    assert await only(api, "/os-hypervisors?hypervisor_hostname_pattern=ox", "hypervisors")
    assert (await api.compute("GET", "/os-hypervisors?hypervisor_hostname_pattern=mars")).status_code == 404
    statistics = (await api.at("2.87").json("/os-hypervisors/statistics"))["hypervisor_statistics"]
    assert (statistics["count"], statistics["vcpus_used"]) == (1, 0)
    for gone in ("statistics", f"{node_id}/uptime"):
        assert message(await api.at("2.88").compute("GET", f"/os-hypervisors/{gone}"), 404, "itemNotFound")
    for word in ("search", "servers"):
        assert (await api.at("2.53").compute("GET", f"/os-hypervisors/box1/{word}")).status_code == 404
    for paged in ("limit=1", f"marker={node_id}"):
        both = await api.compute("GET", f"/os-hypervisors?hypervisor_hostname_pattern=ox&{paged}")
        assert "Paging" in message(both, 400, "badRequest")


async def test_services_and_an_operators_word(api: Api) -> None:
    service = await only(api, "/os-services?binary=nova-compute&host=box1", "services")
    assert service.keys() == {
        "id", "binary", "host", "zone", "status", "state", "updated_at", "disabled_reason", "forced_down"
    }  # fmt: skip
    assert (service["status"], service["state"], service["zone"]) == ("enabled", "up", "nova")
    assert await api.json("/os-services?host=mars") == {"services": []}
    every = (await api.json("/os-services"))["services"]
    assert [one["binary"] for one in every] == ["nova-compute", "nova-conductor", "nova-scheduler"]
    conductor = await only(api, "/os-services?binary=nova-conductor", "services")
    assert (conductor["host"], conductor["zone"], conductor["state"]) == ("box1", "internal", "up")
    assert conductor == {**every[1], "updated_at": conductor["updated_at"]}
    for method, more in (("PUT", {"json": {"status": "disabled"}}), ("DELETE", {})):
        reply = await api.compute(method, f"/os-services/{conductor['id']}", **more)
        assert "Only nova-compute services" in message(reply, 400, "badRequest")
    path = f"/os-services/{service['id']}"

    async def put(body: Any, status: int = 200) -> Any:
        reply = await api.compute("PUT", path, body)
        assert reply.status_code == status, reply.text
        return reply.json().get("service")

    after = await put({"status": "disabled", "disabled_reason": "lunch"})
    assert (after["status"], after["disabled_reason"]) == ("disabled", "lunch")
    reply = await api.create(await api.image())
    server = await api.until(reply.json()["server"]["id"], "ERROR")
    assert "box1" in server["fault"]["message"]
    assert (await put({"status": "enabled"}))["disabled_reason"] is None
    assert (await put({"forced_down": True}))["state"] == "down"
    assert (await put({"forced_down": "false"}))["forced_down"] is False
    for bad in ({}, {"disabled_reason": "x"}, {"status": "enabled", "disabled_reason": "x"}, {"status": "off"}):
        await put(bad, 400)
    assert (await api.compute("PUT", f"/os-services/{NOTHING}", {"status": "enabled"})).status_code == 404
    assert (await api.compute("PUT", "/os-services/1", {"status": "enabled"})).status_code == 400


async def test_services_before_2_53(api: Api) -> None:
    old = api.at("2.52")
    service = await only(old, "/os-services?binary=nova-compute", "services")
    assert isinstance(service["id"], int)
    assert "forced_down" not in await only(api.at("2.10"), "/os-services?binary=nova-compute", "services")
    who = {"host": "box1", "binary": "nova-compute"}

    async def put(verb: str, **more: Any) -> Any:
        return await old.compute("PUT", f"/os-services/{verb}", {**who, **more})

    assert (await put("disable")).json()["service"] == {**who, "status": "disabled"}
    reply = await put("disable-log-reason", disabled_reason="why")
    assert reply.json()["service"] == {**who, "status": "disabled", "disabled_reason": "why"}
    assert (await only(old, "/os-services?binary=nova-compute", "services"))["disabled_reason"] == "why"
    assert (await put("enable")).json()["service"] == {**who, "status": "enabled"}
    assert (await put("force-down", forced_down=True)).json()["service"] == {**who, "forced_down": True}
    assert (await put("disable-log-reason")).status_code == 400
    assert (await put("force-down")).status_code == 400
    assert (await put("enable", host="mars")).status_code == 404
    assert (await put("enable", binary="nova-conductor")).status_code == 400
    assert message(await put("dance"), 404, "itemNotFound") == "Unknown action: dance."
    assert (await api.at("2.10").compute("PUT", "/os-services/force-down", who)).status_code == 404
    assert (await api.compute("PUT", "/os-services/enable", {"status": "enabled"})).status_code == 400


async def test_availability_zones(api: Api) -> None:
    zone = await only(api.as_("member"), "/os-availability-zone", "availabilityZoneInfo")
    assert zone == {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}
    detail = (await api.json("/os-availability-zone/detail"))["availabilityZoneInfo"]
    zones = {one["zoneName"]: one["hosts"] for one in detail}
    assert len(zones) == len(detail) == 2  # each once
    assert zones["nova"]["box1"]["nova-compute"].keys() == {"active", "available", "updated_at"}
    assert zones["internal"]["box1"].keys() == {"nova-conductor", "nova-scheduler"}
    service = await only(api, "/os-services?binary=nova-compute", "services")
    await api.compute("PUT", f"/os-services/{service['id']}", {"status": "disabled"})
    detail = (await api.json("/os-availability-zone/detail"))["availabilityZoneInfo"]
    (nova,) = [one for one in detail if one["zoneName"] == "nova"]
    assert nova == {"zoneName": "nova", "zoneState": {"available": False}, "hosts": None}


async def test_uptime_is_the_hosts_own_word() -> None:
    async with running_api() as newest:
        api = newest.at("2.87")
        node = await only(api, "/os-hypervisors", "hypervisors")
        path = f"/os-hypervisors/{node['id']}/uptime"
        shown = (await api.json(path))["hypervisor"]
        assert shown.keys() == {"id", "hypervisor_hostname", "state", "status", "uptime"}
        # As clients take it apart.
        assert re.match(r"\s*(.+)\sup\s+(.+),\s+(.+)\susers?,\s+load average:\s(.+)", shown["uptime"])
        service = await only(api, "/os-services?binary=nova-compute", "services")
        await api.compute("PUT", f"/os-services/{service['id']}", {"forced_down": True})
        assert "unavailable" in message(await api.compute("GET", path), 400, "badRequest")
        assert (await api.compute("GET", f"/os-hypervisors/{NOTHING}/uptime")).status_code == 404


async def hypervisors(api: Api) -> list[Any]:
    return (await api.json("/os-hypervisors"))["hypervisors"]


async def test_a_service_that_is_down_can_be_forgotten(api: Api) -> None:
    image = await api.image()
    server_id = await api.server(image)
    service = await only(api, "/os-services?binary=nova-compute", "services")
    path = f"/os-services/{service['id']}"

    async def refused(status: int, key: str) -> str:
        return message(await api.compute("DELETE", path), status, key)

    assert "is up" in await refused(409, "conflictingRequest")
    await api.compute("PUT", path, {"forced_down": True})
    assert "hosting instances" in await refused(409, "conflictingRequest")
    await api.compute("DELETE", f"/servers/{server_id}")
    await api.until(server_id, "GONE")
    gone = await api.compute("DELETE", path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert await refused(404, "itemNotFound")
    assert (await api.compute("DELETE", "/os-services/1")).status_code == 400
    assert (await api.at("2.52").compute("DELETE", "/os-services/1")).status_code == 404
    assert (await api.at("2.52").compute("DELETE", "/os-services/box1")).status_code == 400
    assert (await api.as_("member").compute("DELETE", path)).status_code == 403
    # It was not dead at all: it registers as a new one, tells what it has, and serves.
    await until(lambda: hypervisors(api))
    assert (await only(api, "/os-services?binary=nova-compute", "services"))["id"] != service["id"]
    await api.server(image)


async def test_extensions_are_what_is_served(api: Api) -> None:
    listed = (await api.json("/extensions"))["extensions"]
    assert {"os-aggregates", "os-keypairs"} <= {one["alias"] for one in listed}
    assert (await api.json("/extensions/os-keypairs"))["extension"] in listed
    assert message(await api.compute("GET", "/extensions/os-networks"), 404, "itemNotFound")
