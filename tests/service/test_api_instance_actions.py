# SPDX-License-Identifier: Apache-2.0
"""What was done to a server, as its owner and administrators read it."""

from typing import Any

from tests.service.api import Api, message


async def test_events_by_microversion_and_role(api: Api) -> None:
    public = await api.image(visibility="public")
    other = api.as_("member")
    server_id = await other.server(public)
    path = f"/servers/{server_id}/os-instance-actions"
    (only,) = (await other.json(path))["instanceActions"]
    one = f"{path}/{only['request_id']}"

    async def shown(caller: Api) -> dict[str, Any]:
        return (await caller.json(one))["instanceAction"]

    assert "updated_at" in only
    assert "updated_at" not in (await other.at("2.57").json(path))["instanceActions"][0]
    assert "events" not in await shown(other.at("2.50"))
    assert (await shown(other.at("2.51")))["events"][0].keys() == {
        "event",
        "start_time",
        "finish_time",
        "result",
    }
    assert "hostId" in (await shown(other))["events"][0]
    assert "host" not in (await shown(other))["events"][0]
    assert (await shown(api))["events"][0]["host"] == "box1"
    assert "traceback" in (await shown(api.at("2.1")))["events"][0]
    assert message(await api.compute("GET", f"{path}/req-nothing"), 404, "itemNotFound")
    assert (await api.json(f"{path}?limit=1"))["links"][0]["rel"] == "next"
    assert (await api.json(f"{path}?marker={only['request_id']}"))["instanceActions"] == []
    assert (await api.compute("GET", f"{path}?marker=x")).status_code == 400
    assert (await api.json(f"{path}?changes-since=2999-01-01T00:00:00Z"))["instanceActions"] == []
    assert (await api.json(f"{path}?changes-before=2001-01-01T00:00:00Z"))["instanceActions"] == []
    for early in ("2.58", "2.65"):
        refused = await api.at(early).compute("GET", f"{path}?changes-before=2001-01-01T00:00:00Z")
        assert "'changes-before' was unexpected" in message(refused, 400, "badRequest")
    assert (await api.at("2.57").json(f"{path}?changes-before=2001-01-01T00:00:00Z"))["instanceActions"]


async def test_events_have_details_from_2_84(api: Api) -> None:
    owner = api.as_("member")
    server_id = await owner.server(await api.image(visibility="public"))
    api.cloud.box.manager.driver.hypervisor.guests[server_id].base = None  # type: ignore[attr-defined]
    reply = await owner.act(server_id, {"reboot": {"type": "HARD"}})
    await owner.until(server_id, "ACTIVE")
    path = f"/servers/{server_id}/os-instance-actions/{reply.headers['x-openstack-request-id']}"
    events = (await owner.json(path))["instanceAction"]["events"]
    failed = {one["event"]: one["details"] for one in events if one["result"] == "Error"}
    assert list(failed) == ["reboot.look"]
    assert failed["reboot.look"] == f"Guest {server_id} has no disk."
    assert {one["details"] for one in events if one["result"] == "Success"} == {None}
    for event in (await owner.at("2.83").json(path))["instanceAction"]["events"]:
        assert "details" not in event
