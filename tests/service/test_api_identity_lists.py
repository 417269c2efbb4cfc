# SPDX-License-Identifier: Apache-2.0
"""Filters of Identity's lists, tags of projects, and attributes that have no meaning."""

from collections.abc import Sequence
from typing import Any

import pytest

from kilonova.api.identity import routes
from tests.service.api import Api, message, running_api
from tests.service.people import identity, member

LISTS = [route for route in routes.ROUTES if route.strict is not None]


async def test_every_list_refuses_what_it_does_not_obey(api: Api) -> None:
    _, ann_id, home = await member(api, "ann")
    group = (await identity(api, "POST", "/groups", {"group": {"name": "g"}}, 201))["group"]["id"]
    ids = {"user_id": ann_id, "project_id": home, "group_id": group, "domain_id": "default"}
    assert len(LISTS) > 15
    for route in LISTS:
        path = route.path.format(**ids)
        await identity(api, "GET", path)
        for unknown in ("colour=red", "name__like=x", "name__icontain=x", "enabled__contains=t"):
            refused = await api.call("GET", f"/identity/v3{path}?{unknown}")
            assert unknown.partition("=")[0] in message(refused, 400, "error"), route.path
        for argument in route.query:
            flag = argument in ("enabled", "is_domain", "effective", "include_names", "include_subtree")
            await identity(api, "GET", f"{path}?{argument}={'true' if flag else 'nothing-of-that-name'}")


FILTERS: Sequence[tuple[str, set[str]]] = [
    ("name=web", {"web"}),
    ("name=WEB", set()),
    ("name__contains=eb", {"web", "webmail"}),
    ("name__contains=EB", {"dEBug"}),
    ("name__icontains=EB", {"web", "webmail", "dEBug"}),
    ("name__startswith=web", {"web", "webmail"}),
    ("name__istartswith=DEB", {"dEBug"}),
    ("name__endswith=mail", {"webmail"}),
    ("name__iendswith=G", {"dEBug"}),
    ("name__contains=eb&name__endswith=b", {"web"}),
    ("enabled=false", {"dEBug"}),
    ("enabled&name__icontains=eb", {"web", "webmail"}),
    ("domain_id=default&name__contains=mail", {"webmail"}),
    ("domain_id=other", set()),
    ("parent_id=default&name=web", {"web"}),
    ("is_domain=true", set()),
    ("tags=a", {"web", "webmail"}),
    ("tags=a,b", {"web"}),
    ("tags-any=b,c", {"web", "dEBug"}),
    ("not-tags=a,b&name__icontains=eb", {"webmail", "dEBug"}),
    ("not-tags-any=b,c&name__icontains=eb", {"webmail"}),
]


async def test_filters_of_projects(api: Api) -> None:
    for name, more in (("web", {"tags": ["b", "a"]}), ("webmail", {"tags": ["a"]}),
                       ("dEBug", {"tags": ["c"], "enabled": False})):  # fmt: skip
        await identity(api, "POST", "/projects", {"project": {"name": name, **more}}, 201)
    for query, names in FILTERS:
        found = (await identity(api, "GET", f"/projects?{query}"))["projects"]
        assert {one["name"] for one in found} == names, query
    await identity(api, "GET", "/projects?enabled=perhaps", status=400)


async def test_tags_of_a_project(api: Api) -> None:
    ann, _, home = await member(api, "ann")
    tags = f"/projects/{home}/tags"
    await identity(api, "PUT", tags, {"tags": ["b", "a", "b"]})
    assert (await identity(ann, "GET", tags))["tags"] == ["a", "b"]
    await identity(api, "PUT", f"{tags}/c", status=201)
    await identity(api, "DELETE", f"{tags}/a", status=204)
    assert (await identity(api, "GET", f"/projects/{home}"))["project"]["tags"] == ["b", "c"]
    await identity(ann, "HEAD", f"{tags}/c", status=204)
    await identity(ann, "GET", f"{tags}/a", status=404)
    await identity(api, "DELETE", f"{tags}/a", status=404)
    for wrong in (["x,y"], ["x/y"], [""], ["x" * 256], [str(n) for n in range(81)], "x"):
        await identity(api, "PUT", tags, {"tags": wrong}, 400)
    await identity(api, "PUT", f"{tags}/x,y", status=400)
    await identity(api, "PUT", tags, {"tags": [str(n) for n in range(80)]})
    await identity(api, "PUT", f"{tags}/one-too-many", status=400)
    for method, path in (("PUT", f"{tags}/x"), ("DELETE", f"{tags}/0"), ("DELETE", tags)):
        await identity(ann, method, path, status=403)
    await identity(api, "DELETE", tags, status=204)
    assert (await identity(api, "GET", tags))["tags"] == []


@pytest.mark.parametrize("kind", ["user", "project", "group"])
async def test_attributes_without_a_meaning_are_kept_and_what_is_only_shown_is_not_taken(api: Api, kind: str) -> None:
    odd: dict[str, Any] = {"project_id": "p", "colour": {"hue": [1, None, "ü"]}, "links": {"self": "x"}}
    made = (await identity(api, "POST", f"/{kind}s", {kind: {"name": "one", **odd}}, 201))[kind]
    one = f"/{kind}s/{made['id']}"
    assert (made["project_id"], made["colour"]) == (odd["project_id"], odd["colour"])
    assert made["links"]["self"].endswith(made["id"])
    changed = (await identity(api, "PATCH", one, {kind: {**made, "colour": None, "shape": 1}}))[kind]
    assert changed == {**made, "colour": None, "shape": 1}
    assert (await identity(api, "GET", one))[kind] == changed
    for none in (b"NaN", b"1e999", b'[{"x": -1e999}]'):
        odd_body = b'{"%b": {"name": "two", "size": %b}}' % (kind.encode(), none)
        assert (await api.call("POST", f"/identity/v3/{kind}s", content=odd_body)).status_code == 400
    for wrong in ({"id": "another"}, {"password_expires_at": "2030-01-01"}, {"original_password": "x"}):
        await identity(api, "PATCH", one, {kind: wrong}, 400)
        await identity(api, "POST", f"/{kind}s", {kind: {"name": "two", **wrong}}, 400)


async def test_services_endpoints_and_regions_are_added_for_clients_to_find() -> None:
    async def main() -> None:
        async with running_api() as api:
            asked = {"type": "object-store", "name": "swift", "description": "elsewhere"}
            service = (await identity(api, "POST", "/services", {"service": asked}, 201))["service"]
            assert (await identity(api, "GET", "/services?name__contains=wif"))["services"] == [service]
            url = "http://swift/v1/AUTH_$(project_id)s"
            end = {"service_id": service["id"], "interface": "public", "url": url, "region": "North"}
            endpoint = (await identity(api, "POST", "/endpoints", {"endpoint": end}, 201))["endpoint"]
            assert (endpoint["region_id"], endpoint["region"], endpoint["enabled"]) == ("North", "North", True)
            assert (await identity(api, "GET", "/regions/North"))["region"]["parent_region_id"] is None
            ann, _, home = await member(api, "ann")
            (found,) = [
                one for one in (await identity(ann, "GET", "/auth/catalog"))["catalog"] if one["name"] == "swift"
            ]
            assert [one["url"] for one in found["endpoints"]] == [f"http://swift/v1/AUTH_{home}"]
            one = f"/endpoints/{endpoint['id']}"
            assert not (await identity(api, "PATCH", one, {"endpoint": {"enabled": False}}))["endpoint"]["enabled"]
            assert (await identity(ann, "GET", "/auth/catalog"))["catalog"][-1]["endpoints"] == []
            for wrong in ({"service_id": "x"}, {"interface": "x"}, {"url": ""}, {"region_id": "x"}, {"enabled": "yes"}):
                await identity(api, "PATCH", one, {"endpoint": wrong}, 400)
            await identity(api, "DELETE", "/regions/North", status=403)
            await _regions(api)
            compute = (await identity(api, "GET", "/services?type=compute"))["services"][0]
            own = (f"/services/{compute['id']}", "/regions/RegionOne")
            for path in own:
                await identity(api, "DELETE", path, status=403)
            await identity(api, "DELETE", f"/services/{service['id']}", status=204)
            await identity(api, "GET", one, status=404)
            await identity(api, "DELETE", "/regions/North", status=204)
            for kind in ("services", "endpoints", "regions"):
                await identity(ann, "POST", f"/{kind}", {kind[:-1]: {}}, 403)

    async def _regions(api: Any) -> None:
        await identity(api, "PUT", "/regions/a", {"region": {"description": "A"}}, 201)
        await identity(api, "POST", "/regions", {"region": {"id": "b", "parent_region_id": "a"}}, 201)
        await identity(api, "POST", "/regions", {"region": {"id": "b"}}, 409)
        await identity(api, "POST", "/regions", {"region": {"id": "b/c"}}, 400)
        await identity(api, "PUT", f"/regions/{'x' * 256}", {"region": {}}, 400)
        assert len((await identity(api, "POST", "/regions", {"region": {"id": ""}}, 201))["region"]["id"]) == 32
        assert [one["id"] for one in (await identity(api, "GET", "/regions?parent_region_id=a"))["regions"]] == ["b"]
        await identity(api, "PATCH", "/regions/a", {"region": {"parent_region_id": "b"}}, 400)
        await identity(api, "PATCH", "/regions/a", {"region": {"parent_region_id": "nowhere"}}, 404)
        await identity(api, "DELETE", "/regions/a", status=204)
        await identity(api, "GET", "/regions/b", status=404)

    await main()
