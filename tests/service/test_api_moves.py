# SPDX-License-Identifier: Apache-2.0
"""Actions that have nowhere to go, or nothing to do, on this box: each is answered in the API's own terms."""

from typing import Any

from tests.service.api import Api, message

NOT_THERE = "No valid host was found"


async def test_a_server_is_moved_nowhere(api: Api) -> None:
    server_id = await api.server(await api.image())

    async def refused(status: int, key: str, action: Any, caller: Api = api) -> str:
        return message(await caller.act(server_id, action), status, key)

    live: dict[str, Any] = {"host": None, "block_migration": "auto"}
    old = {"host": None, "block_migration": False, "disk_over_commit": False}
    assert NOT_THERE in await refused(400, "badRequest", {"os-migrateLive": live})
    assert NOT_THERE in await refused(400, "badRequest", {"os-migrateLive": old}, api.at("2.24"))
    assert NOT_THERE in await refused(400, "badRequest", {"migrate": None}, api.at("2.55"))
    for wish, words in (({"host": "mars"}, "mars could not be found"), ({"host": "box1"}, "current host")):
        assert words in await refused(400, "badRequest", {"os-migrateLive": {**live, **wish}})
        assert words in await refused(400, "badRequest", {"migrate": wish})
    for version, bad in (("2.24", live), ("2.25", old), ("2.29", {**live, "force": True})):
        assert await refused(400, "badRequest", {"os-migrateLive": bad}, api.at(version))
    forced = {**live, "force": True}
    assert "non-provided" in await refused(400, "badRequest", {"os-migrateLive": forced}, api.at("2.67"))
    assert "'force' was unexpected" in await refused(400, "badRequest", {"os-migrateLive": forced})

    assert "still in use" in await refused(400, "badRequest", {"evacuate": {}})
    assert "'onSharedStorage'" in await refused(400, "badRequest", {"evacuate": {}}, api.at("2.13"))
    assert "mars not found" in await refused(404, "itemNotFound", {"evacuate": {"host": "mars"}})
    assert "same one" in await refused(400, "badRequest", {"evacuate": {"host": "box1"}})
    (service,) = (await api.json("/os-services?binary=nova-compute"))["services"]
    await api.compute("PUT", f"/os-services/{service['id']}", {"forced_down": True})
    assert "kilonova host forget box1" in await refused(400, "badRequest", {"evacuate": {"adminPass": "secret"}})
    await api.compute("PUT", f"/os-services/{service['id']}", {"forced_down": False})

    assert (await api.act(server_id, {"os-stop": None})).status_code == 202
    await api.until(server_id, "SHUTOFF")
    assert "vm_state stopped" in await refused(409, "conflictingRequest", {"os-migrateLive": live})
    for body in ({"os-migrateLive": live}, {"migrate": None}, {"evacuate": {}}):
        assert await refused(403, "forbidden", body, api.as_("member"))
        gone = await api.act("00000000-0000-4000-8000-000000000000", body)
        assert message(gone, 404, "itemNotFound")


async def test_the_default_security_group_is_there_and_stays(api: Api) -> None:
    server_id = await api.server(await api.image())
    (group,) = (await api.json(f"/servers/{server_id}/os-security-groups"))["security_groups"]
    for name in ("default", group["id"]):
        assert (await api.act(server_id, {"addSecurityGroup": {"name": name}})).status_code == 202
        reply = await api.act(server_id, {"removeSecurityGroup": {"name": name}})
        assert "default cannot be removed" in message(reply, 409, "conflictingRequest")
    for action in ("addSecurityGroup", "removeSecurityGroup"):
        assert "not found for project" in message(
            await api.act(server_id, {action: {"name": "web"}}), 404, "itemNotFound"
        )
        for bad in ({}, None, {"name": " "}):
            assert message(await api.act(server_id, {action: bad}), 400, "badRequest")


async def test_what_administrators_could_do_to_networks(api: Api) -> None:
    server_id = await api.server(await api.image())
    assert (await api.act(server_id, {"injectNetworkInfo": None})).status_code == 202
    assert message(await api.as_("member").act(server_id, {"injectNetworkInfo": None}), 403, "forbidden")
    assert message(await api.act(server_id, {"resetNetwork": None}), 410, "computeFault")
