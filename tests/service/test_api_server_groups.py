# SPDX-License-Identifier: Apache-2.0
"""Server groups as clients ask for them."""

from typing import Any

import httpx
import pytest

from tests.service.api import Api, message, running_api

NOTHING = "00000000-0000-4000-8000-000000000000"


async def post(api: Api, **fields: Any) -> httpx.Response:
    return await api.compute("POST", "/os-server-groups", {"server_group": {"name": "g", **fields}})


async def group(api: Api, **fields: Any) -> dict[str, Any]:
    reply = await post(api, **{"policy": "anti-affinity", **fields})
    assert reply.status_code == 200, reply.text
    return reply.json()["server_group"]


async def create(api: Api, image: str, hints: object, **fields: Any) -> httpx.Response:
    server = {"name": "s", "imageRef": image, "flavorRef": "1", "networks": "none", **fields}
    return await api.compute("POST", "/servers", {"server": server, "os:scheduler_hints": hints})


async def listed(api: Api, query: str = "") -> list[str]:
    return [one["name"] for one in (await api.json(f"/os-server-groups{query}"))["server_groups"]]


async def test_groups_by_microversion(api: Api) -> None:
    new = await group(api, rules={"max_server_per_host": "3"})
    assert new == {
        "id": new["id"], "name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 3},
        "members": [], "project_id": new["project_id"], "user_id": new["user_id"],
    }  # fmt: skip
    path = f"/os-server-groups/{new['id']}"
    assert (await api.json(path))["server_group"] == new
    old = (await api.at("2.63").json(path))["server_group"]
    assert old.keys() == {"id", "name", "policies", "members", "metadata", "project_id", "user_id"}
    assert (old["policies"], old["metadata"]) == (["anti-affinity"], {})
    oldest = (await api.at("2.12").json(path))["server_group"]
    assert oldest.keys() == {"id", "name", "policies", "members", "metadata"}
    made = await post(api.at("2.15"), policies=["soft-affinity"])
    assert (made.status_code, made.json()["server_group"]["policies"]) == (200, ["soft-affinity"])
    assert (await group(api, policy="affinity"))["rules"] == {}


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("2.64", {"policies": ["affinity"]}),
        ("2.64", {}),
        ("2.64", {"policy": "nosuch"}),
        ("2.64", {"policy": ["affinity"]}),
        ("2.64", {"policy": "affinity", "name": " "}),
        ("2.64", {"policy": "affinity", "name": "x" * 256}),
        ("2.64", {"policy": "affinity", "rules": {"max_server_per_host": 1}}),
        ("2.64", {"policy": "anti-affinity", "rules": {"max_server_per_host": 0}}),
        ("2.64", {"policy": "anti-affinity", "rules": {"max_server_per_host": "x"}}),
        ("2.64", {"policy": "anti-affinity", "rules": {"other": 1}}),
        ("2.64", {"policy": "affinity", "metadata": {}}),
        ("2.63", {"policy": "affinity"}),
        ("2.63", {"policies": []}),
        ("2.63", {"policies": ["affinity", "anti-affinity"]}),
        ("2.63", {"policies": ["affinity"], "rules": {}}),
        ("2.14", {"policies": ["soft-anti-affinity"]}),
    ],
)
async def test_what_no_group_can_be(api: Api, version: str, fields: dict[str, Any]) -> None:
    assert message(await post(api.at(version), **fields), 400, "badRequest")
    assert await listed(api) == []


async def test_groups_are_a_projects_own() -> None:
    async with running_api({("quota", "server_groups"): 3}) as admin:
        one, two = admin.as_("member", project="p1", user="u"), admin.as_("member", project="p2", user="u")
        mine = [await group(one, name=name) for name in ("a", "b", "c")]
        assert message(await post(one, policy="affinity"), 403, "forbidden") == (
            "Quota exceeded, too many server groups."
        )
        assert (await one.json("/limits"))["limits"]["absolute"]["totalServerGroupsUsed"] == 3
        detail = (await one.json("/os-quota-sets/p1/detail"))["quota_set"]["server_groups"]
        assert detail == {"limit": 3, "in_use": 3, "reserved": 0}
        await group(two, name="theirs")
        assert (await listed(one), await listed(two), await listed(admin)) == (["a", "b", "c"], ["theirs"], [])
        assert await listed(admin, "?all_projects=True") == ["a", "b", "c", "theirs"]
        assert (await one.compute("GET", "/os-server-groups?all_projects=1")).status_code == 403
        assert await listed(one, "?limit=1&offset=1") == ["b"]
        assert await listed(one, "?offset=2") == ["c"]
        assert (await one.compute("GET", "/os-server-groups?limit=-1")).status_code == 400
        assert (await one.compute("GET", "/os-server-groups?x=1")).status_code == 400
        path = f"/os-server-groups/{mine[0]['id']}"
        for method in ("GET", "DELETE"):
            assert message(await two.compute(method, path), 404, "itemNotFound")
            assert message(await one.compute(method, f"/os-server-groups/{NOTHING}"), 404, "itemNotFound")
            assert (await one.compute(method, "/os-server-groups/no-uuid")).status_code == 404
        reader = admin.as_("reader", project="p1")
        assert (await reader.compute("DELETE", path)).status_code == 403
        assert (await post(reader, policy="affinity")).status_code == 403
        assert (await admin.json(path))["server_group"]["project_id"] == "p1"
        assert (await one.compute("DELETE", path)).status_code == 204
        assert (await one.compute("DELETE", path)).status_code == 404
        await group(one)


async def test_servers_join_a_group_by_a_hint() -> None:
    async with running_api({("quota", "server_group_members"): 3}) as api:
        image = await api.image()
        made = await group(api, rules={"max_server_per_host": 2})
        path, hint = f"/os-server-groups/{made['id']}", {"group": made["id"]}

        async def members() -> list[str]:
            return (await api.json(path))["server_group"]["members"]

        first = (await create(api, image, hint)).json()["server"]["id"]
        await api.until(first, "ACTIVE")
        pair = await create(api, image, hint, min_count=2)
        assert pair.status_code == 202
        ids = await members()
        assert (ids[0], len(ids)) == (first, 3)
        statuses: list[str] = []
        for server_id in ids[1:]:
            while (server := (await api.json(f"/servers/{server_id}"))["server"])["status"] == "BUILD":
                await api.cloud.clock.sleep(0.01)
            statuses.append(server["status"])
            if server["status"] == "ERROR":
                assert "ServerGroupAntiAffinityFilter refused box1 (has 2 of" in server["fault"]["message"]
        assert sorted(statuses) == ["ACTIVE", "ERROR"]
        full = "Quota exceeded, too many servers in group"
        assert message(await create(api, image, hint), 403, "forbidden") == full
        await api.compute("DELETE", f"/servers/{first}")
        await api.until(first, "GONE")
        assert await members() == ids[1:]
        assert (await api.compute("DELETE", path)).status_code == 204
        assert {s["id"] for s in (await api.json("/servers"))["servers"]} == set(ids[1:])
        gone = f"Instance group {made['id']} could not be found."
        assert gone in message(await create(api, image, hint), 400, "badRequest")


async def test_hints_that_no_group_is_behind(api: Api) -> None:
    image = await api.image(visibility="public")
    for hint in (NOTHING, "a group", 1, [NOTHING]):
        assert "group" in message(await create(api, image, {"group": hint}), 400, "badRequest")
    theirs = (await group(api.as_("member")))["id"]
    stranger = await create(api.as_("member", project="p9"), image, {"group": theirs})
    assert f"Instance group {theirs} could not be found." in message(stranger, 400, "badRequest")
    assert (await api.json("/servers?all_tenants=1"))["servers"] == []
