# SPDX-License-Identifier: Apache-2.0
"""Actions that have nowhere to go, or nothing to do, on this box: each is answered in the API's own terms."""

from typing import Any

from tests.service.api import Api, message

NOT_THERE = "No valid host was found"


async def act(api: Api, server_id: str, **body: Any) -> Any:
    return await api.compute(
        "POST", f"/servers/{server_id}/action", {name.replace("_", "-"): wish for name, wish in body.items()}
    )


async def test_a_server_is_moved_nowhere(api: Api) -> None:
    server_id = await api.server(await api.image())

    async def refused(status: int, key: str, caller: Api = api, **body: Any) -> str:
        return message(await act(caller, server_id, **body), status, key)

    live: dict[str, Any] = {"host": None, "block_migration": "auto"}
    old = {"host": None, "block_migration": False, "disk_over_commit": False}
    assert NOT_THERE in await refused(400, "badRequest", os_migrateLive=live)
    assert NOT_THERE in await refused(400, "badRequest", api.at("2.24"), os_migrateLive=old)
    assert NOT_THERE in await refused(400, "badRequest", api.at("2.55"), migrate=None)
    for wish, words in (({"host": "mars"}, "mars could not be found"), ({"host": "box1"}, "current host")):
        assert words in await refused(400, "badRequest", os_migrateLive={**live, **wish})
        assert words in await refused(400, "badRequest", migrate=wish)
    for version, bad in (("2.24", live), ("2.25", old), ("2.29", {**live, "force": True})):
        assert await refused(400, "badRequest", api.at(version), os_migrateLive=bad)
    forced = {**live, "force": True}
    assert "non-provided" in await refused(400, "badRequest", api.at("2.67"), os_migrateLive=forced)
    assert "'force' was unexpected" in await refused(400, "badRequest", os_migrateLive=forced)

    assert "still in use" in await refused(400, "badRequest", evacuate={})
    assert "'onSharedStorage'" in await refused(400, "badRequest", api.at("2.13"), evacuate={})
    assert "mars not found" in await refused(404, "itemNotFound", evacuate={"host": "mars"})
    assert "same one" in await refused(400, "badRequest", evacuate={"host": "box1"})
    (service,) = (await api.json("/os-services?binary=nova-compute"))["services"]
    await api.compute("PUT", f"/os-services/{service['id']}", {"forced_down": True})
    assert NOT_THERE in await refused(400, "badRequest", evacuate={"adminPass": "secret"})
    await api.compute("PUT", f"/os-services/{service['id']}", {"forced_down": False})

    assert (await act(api, server_id, os_stop=None)).status_code == 202
    await api.until(server_id, "SHUTOFF")
    assert "vm_state stopped" in await refused(409, "conflictingRequest", os_migrateLive=live)
    for body in ({"os_migrateLive": live}, {"migrate": None}, {"evacuate": {}}):
        assert await refused(403, "forbidden", api.as_("member"), **body)
        gone = await act(api, "00000000-0000-4000-8000-000000000000", **body)
        assert message(gone, 404, "itemNotFound")


async def test_the_default_security_group_is_there_and_stays(api: Api) -> None:
    server_id = await api.server(await api.image())
    (group,) = (await api.json(f"/servers/{server_id}/os-security-groups"))["security_groups"]
    for name in ("default", group["id"]):
        assert (await act(api, server_id, addSecurityGroup={"name": name})).status_code == 202
        reply = await act(api, server_id, removeSecurityGroup={"name": name})
        assert "default cannot be removed" in message(reply, 409, "conflictingRequest")
    for action in ("addSecurityGroup", "removeSecurityGroup"):
        assert "not found for project" in message(
            await act(api, server_id, **{action: {"name": "web"}}), 404, "itemNotFound"
        )
        for bad in ({}, None, {"name": " "}):
            assert message(await act(api, server_id, **{action: bad}), 400, "badRequest")


async def test_what_administrators_could_do_to_networks(api: Api) -> None:
    server_id = await api.server(await api.image())
    assert (await act(api, server_id, injectNetworkInfo=None)).status_code == 202
    assert message(await act(api.as_("member"), server_id, injectNetworkInfo=None), 403, "forbidden")
    assert message(await act(api, server_id, resetNetwork=None), 410, "computeFault")
