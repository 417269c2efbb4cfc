# SPDX-License-Identifier: Apache-2.0
"""os-hosts below 2.43, the audit log of usage, and lists of what no server here has."""

from typing import Any

from tests.service.api import Api, message, running_api


async def test_hosts_as_they_were_before_2_43() -> None:
    async with running_api() as newest:
        api = newest.at("2.42")
        assert message(await newest.at("2.43").compute("GET", "/os-hosts"), 404, "itemNotFound")
        assert message(await api.as_("member").compute("GET", "/os-hosts"), 403, "forbidden")
        listed = (await api.json("/os-hosts"))["hosts"]
        assert {"host_name": "box1", "service": "compute", "zone": "nova"} in listed
        assert {one["service"] for one in listed} == {"compute", "conductor", "scheduler"}
        assert len((await api.json("/os-hosts?zone=nova"))["hosts"]) == 1
        assert (await api.json("/os-hosts?zone=mars"))["hosts"] == []

        await newest.server(await newest.image())
        resources = [one["resource"] for one in (await api.json("/os-hosts/box1"))["host"]]
        total, now, most, project = resources
        assert [one["project"] for one in resources[:3]] == ["(total)", "(used_now)", "(used_max)"]
        assert (now["cpu"], most["cpu"], most["memory_mb"], most["disk_gb"]) == (1, 1, 128, 1)
        assert {**most, "project": project["project"]} == project
        assert total["memory_mb"] >= now["memory_mb"]

        async def put(body: Any, host: str = "box1") -> Any:
            return await api.compute("PUT", f"/os-hosts/{host}", body)

        assert (await put({"status": "Disable"})).json() == {"host": "box1", "status": "disabled"}
        assert (await api.json("/os-hosts?zone=nova"))["hosts"] == []
        assert (await put({"status": "enable"})).json()["status"] == "enabled"
        for bad in ({}, {"status": "off"}, {"status": None}, {"mode": "enable"}):
            assert (await put(bad)).status_code == 400
        assert (await put({"maintenance_mode": "enable"})).status_code == 501
        assert (await put({"status": "enable"}, "mars")).status_code == 404
        for word in ("startup", "shutdown", "reboot"):
            assert message(await api.compute("GET", f"/os-hosts/box1/{word}"), 501, "notImplemented")
            assert (await api.compute("GET", f"/os-hosts/mars/{word}")).status_code == 404


async def test_no_host_has_an_audit_log(api: Api) -> None:
    last = (await api.json("/os-instance_usage_audit_log"))["instance_usage_audit_logs"]
    assert last["hosts_not_run"] == ["box1"]
    assert last["overall_status"] == "0 of 1 hosts done. 0 errors."
    for before, period in {
        "2026-03-04 05:06:07": ("2026-02-01 00:00:00", "2026-03-01 00:00:00"),
        "2026-01-01 00:00:00.000000": ("2025-11-01 00:00:00", "2025-12-01 00:00:00"),
        "2026-01-01 00:00:00.5": ("2025-12-01 00:00:00", "2026-01-01 00:00:00"),
    }.items():
        log = (await api.json(f"/os-instance_usage_audit_log/{before}"))["instance_usage_audit_log"]
        assert (log["period_beginning"], log["period_ending"]) == period
    for bad in ("yesterday", "2026-13-01 00:00:00", "0001-01-01 00:00:00"):
        reply = await api.compute("GET", f"/os-instance_usage_audit_log/{bad}")
        assert "Invalid timestamp" in message(reply, 400, "badRequest")


async def test_a_server_has_no_volumes(api: Api) -> None:
    path = f"/servers/{await api.server(await api.image())}/os-volume_attachments"
    assert await api.json(path) == {"volumeAttachments": []}
    assert await api.json(f"{path}?limit=1&offset=1") == {"volumeAttachments": []}
    assert (await api.compute("GET", f"{path}?limit=x")).status_code == 400
    assert "not attached" in message(await api.compute("GET", f"{path}/v1"), 404, "itemNotFound")
    stranger = await api.as_("member").compute("GET", path)
    assert message(stranger, 404, "itemNotFound")
