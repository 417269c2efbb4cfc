# SPDX-License-Identifier: Apache-2.0
"""The actions of all servers, and why a server has no host: who sees what."""

from typing import Any

import pytest

from kilonova.objects.messages import WITHOUT_REASONS
from kilonova.scheduler.filters import FILTERS
from kilonova.ui.assets import STATIC
from tests.service.api import Api, message, running_api
from tests.service.pages import lock, quiet_server
from tests.service.people import as_user, member, user

PATH = "/ui/api/actions"
BIG = {("quota", "ram"): -1}


async def listed(api: Api, query: str = "") -> list[dict[str, Any]]:
    return (await page(api, query))["actions"]


async def page(api: Api, query: str = "") -> dict[str, Any]:
    reply = await api.call("GET", PATH + query)
    assert reply.status_code == 200, reply.text
    assert reply.headers["cache-control"] == "no-store"
    return reply.json()


async def test_a_project_sees_what_was_requested_of_its_servers_by_anybody(api: Api) -> None:
    ann, ann_id, home = await member(api, "ann")
    bob, _, _ = await member(api, "bob", "reader")
    image = await api.image(visibility="public")
    hers, own = await ann.server(image, name="hers"), await api.server(image)
    await lock(api, hers)
    found = await listed(ann)
    assert [(one["action"], one["state"], one["message"]) for one in found] == [
        ("lock", "done", None),
        ("create", "done", None),
    ]
    assert {(one["server_id"], one["server_name"], one["project_id"]) for one in found} == {(hers, "hers", home)}
    assert [one["user_id"] == ann_id for one in found] == [False, True]
    assert all("host" not in one and one["ended_at"] >= one["started_at"] for one in found)
    assert [(one["server_id"], one["host"]) for one in await listed(api)] == [(own, "box1")]
    assert {one["server_id"] for one in await listed(api, "?all_projects=1")} == {hers, own}
    for query in ("", f"?server_id={hers}", f"?request_id={found[0]['request_id']}", "?before=99999999999999999.a"):
        assert await page(bob, query) == {"actions": [], "next": None}
    refused = await ann.call("GET", f"{PATH}?all_projects=1")
    assert "get_all_tenants" in message(refused, 403, "forbidden")
    await user(api, "bare")
    assert (await (await as_user(api, "bare")).call("GET", PATH)).status_code == 403
    assert (await api.cloud.http.get(PATH)).status_code == 401


async def test_pages_go_back_in_time_and_miss_nothing_while_new_actions_come(api: Api) -> None:
    server_id = await quiet_server(api)
    await lock(api, server_id, 5)
    whole = [one["id"] for one in await listed(api)]
    assert len(whole) == 6
    seen, query = list[str](), "?limit=2"
    while True:
        found = await page(api, query)
        seen += [one["id"] for one in found["actions"]]
        await lock(api, server_id)
        if found["next"] is None:
            break
        query = f"?limit=2&before={found['next']}"
    assert seen == whole
    assert (await page(api, "?limit=9"))["next"] is None


async def test_filters_and_servers_that_are_deleted(api: Api) -> None:
    server_id = await quiet_server(api)
    await lock(api, server_id, 2)
    api.cloud.box.manager.driver.hypervisor.guests[server_id].base = None  # type: ignore[attr-defined]
    reply = await api.act(server_id, {"reboot": {"type": "HARD"}}, 202)
    await api.until(server_id, "ACTIVE")
    request_id = reply.headers["x-openstack-request-id"]
    (failed,) = await listed(api, "?state=failed")
    assert (failed["action"], failed["request_id"], failed["state"]) == ("reboot", request_id, "failed")
    assert f"Guest {server_id} has no disk." in failed["message"]
    assert await listed(api, f"?server_id={server_id}&request_id={request_id}") == [failed]
    assert [one["action"] for one in await listed(api, "?action=lock")] == ["lock"]
    assert await listed(api, "?state=open") == []
    await api.compute("DELETE", f"/servers/{server_id}")
    await api.until(server_id, "GONE")
    found = await listed(api, f"?server_id={server_id}")
    assert (found[0]["action"], {one["server_deleted"] for one in found}) == ("delete", {True})


@pytest.mark.parametrize("query", ["state=x", "before=x", "before=1", "limit=x", "all_projects=x", "host=box1"])
async def test_an_invalid_argument_is_named(api: Api, query: str) -> None:
    assert query.partition("=")[0] in message(await api.call("GET", f"{PATH}?{query}"), 400, "badRequest")


async def why(api: Api, server_id: str, query: str = "") -> Any:
    reply = await api.call("GET", f"/ui/api/servers/{server_id}/why{query}")
    assert reply.status_code == 200, reply.text
    return reply.json()["why"]


async def test_a_member_sees_kinds_of_reasons_and_an_administrator_the_hosts() -> None:
    async with running_api(BIG) as api:
        ann, _, _ = await member(api, "ann")
        bob, _, _ = await member(api, "bob")
        body = {"name": "huge", "vcpus": 1, "ram": 1 << 27, "disk": 1}
        flavor = (await api.compute("POST", "/flavors", {"flavor": body})).json()["flavor"]["id"]
        image = await api.image(visibility="public")
        created = await ann.create(image, flavorRef=flavor)
        server_id = created.json()["server"]["id"]
        await ann.until(server_id, "ERROR")
        request_id = created.headers["x-openstack-request-id"]
        assert await why(ann, server_id) == {
            "action": "create",
            "request_id": request_id,
            "state": "failed",
            "message": WITHOUT_REASONS,
            "reasons": ["RamFilter"],
            "tries": None,
        }
        whole = await why(api, server_id, f"?request_id={request_id}")
        assert whole["reasons"] == ["RamFilter"]
        (refused,) = whole["tries"][0]["refused"]
        assert (refused["hosts"], refused["reason"][:8]) == (["box1"], "memory: ")
        assert await why(ann, server_id, "?request_id=req-other") is None
        unknown = await bob.call("GET", f"/ui/api/servers/{server_id}/why")
        assert "could not be found" in message(unknown, 404, "itemNotFound")
        placed = await ann.server(image)
        assert (await why(ann, placed))["reasons"] == []


def test_each_filter_has_a_sentence_for_members() -> None:
    words = (STATIC / "app/words/en.live.js").read_text()
    assert [name for name in FILTERS if f'"why.{name}": ' not in words] == []
