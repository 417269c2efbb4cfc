# SPDX-License-Identifier: Apache-2.0
"""What an operator makes of flavors: descriptions, extra specs, flavors for some projects only."""

from itertools import product
from typing import Any

import pytest

from kilonova.api.compute.catalog import extra_specs as flavor_extras
from kilonova.api.compute.catalog.flavors import SORT_KEYS
from kilonova.api.http.microversion import v2
from kilonova.db.readers.identity import Project
from kilonova.db.writers import identity
from tests.service.api import Api, message, running_api

SPECS = "/flavors/1/os-extra_specs"


async def own(api: Api, flavor_id: str = "own", *, public: bool = True) -> str:
    """A flavor that servers of the smallest image fit in."""
    flavor = {"id": flavor_id, "name": flavor_id, "ram": 128, "vcpus": 1, "disk": 1}
    reply = await api.compute("POST", "/flavors", {"flavor": {**flavor, "os-flavor-access:is_public": public}})
    assert reply.status_code == 200, reply.text
    return flavor_id


async def specs(api: Api, flavor_id: str, **wanted: str) -> None:
    body = {"extra_specs": {name.replace("__", ":"): value for name, value in wanted.items()}}
    reply = await api.compute("POST", f"/flavors/{flavor_id}/os-extra_specs", body)
    assert reply.status_code == 200, reply.text


async def project(api: Api, project_id: str) -> str:
    await api.cloud.box.app.deps.db.write(identity.insert_project, Project(project_id, project_id))
    return project_id


async def test_the_description_is_all_that_changes(api: Api) -> None:
    before = (await api.json("/flavors/1"))["flavor"]

    async def put(body: Any, caller: Api = api) -> Any:
        return await caller.compute("PUT", "/flavors/1", body)

    changed = await put({"flavor": {"description": "for tests"}})
    assert changed.status_code == 200
    assert changed.json()["flavor"] == {**before, "description": "for tests"}
    assert (await api.json("/flavors/1"))["flavor"] == changed.json()["flavor"]
    assert (await put({"flavor": {"description": None}})).json()["flavor"] == before
    assert (await put({"flavor": {"description": ""}})).json()["flavor"]["description"] == ""
    for bad in ({}, {"description": "x" * 65536}, {"name": "x"}, {"description": "\x07"}):
        assert message(await put({"flavor": bad}), 400, "badRequest")
    assert message(await put({"flavor": {"description": "x"}}, api.at("2.54")), 405, "badMethod")
    assert message(await put({"flavor": {"description": "x"}}, api.as_("member")), 403, "forbidden")
    assert (await api.compute("PUT", "/flavors/none", {"flavor": {"description": "x"}})).status_code == 404


async def test_every_sort_key_page_by_page(api: Api) -> None:
    for body in ({"ram": 64, "vcpus": 7, "disk": 0}, {"ram": 64, "vcpus": 1, "disk": 9, "description": "x"}):
        flavor = {"name": str(body), "id": "auto", "os-flavor-access:is_public": False, **body}
        assert (await api.compute("POST", "/flavors", {"flavor": flavor})).status_code == 200
    for key, direction in product(SORT_KEYS, ("asc", "desc")):
        asked = f"/flavors?is_public=None&sort_key={key}&sort_dir={direction}"
        whole = [flavor["id"] for flavor in (await api.json(asked))["flavors"]]
        pages: list[str] = []
        after = "&limit=3"
        while some := (await api.json(asked + after))["flavors"]:
            pages += [flavor["id"] for flavor in some]
            after = f"&limit=3&marker={pages[-1]}"
        assert pages == whole, asked


async def test_extra_specs(api: Api) -> None:
    assert await api.json(SPECS) == {"extra_specs": {}}
    made = await api.compute("POST", SPECS, {"extra_specs": {"hw:cpu_policy": "shared", "level": 5}})
    assert made.json() == {"extra_specs": {"hw:cpu_policy": "shared", "level": "5"}}
    changed = await api.compute("PUT", f"{SPECS}/level", {"level": "6"})
    assert (changed.status_code, changed.json()) == (200, {"level": "6"})
    await specs(api, "1", more="x")
    now = {"hw:cpu_policy": "shared", "level": "6", "more": "x"}
    assert await api.json(SPECS) == {"extra_specs": now}
    assert await api.json(f"{SPECS}/more") == {"more": "x"}
    assert (await api.json("/flavors/1"))["flavor"]["extra_specs"] == now
    assert (await api.json("/flavors/detail"))["flavors"][0]["extra_specs"] == now
    gone = await api.compute("DELETE", f"{SPECS}/more")
    assert (gone.status_code, gone.content) == (200, b"")
    for method in ("GET", "DELETE"):
        assert message(await api.compute(method, f"{SPECS}/more"), 404, "itemNotFound")
    server_id = await api.server(await api.image())
    server = (await api.json(f"/servers/{server_id}"))["server"]
    assert server["flavor"]["extra_specs"] == {"hw:cpu_policy": "shared", "level": "6"}
    other = api.as_("member")
    assert (await other.compute("GET", SPECS)).status_code == 200
    for method, path, body in (
        ("POST", SPECS, {"extra_specs": {"a": "b"}}),
        ("PUT", f"{SPECS}/level", {"level": "7"}),
        ("DELETE", f"{SPECS}/level", None),
    ):
        assert message(await other.compute(method, path, body), 403, "forbidden")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", {"extra_specs": {"a/b": "x"}}),
        ("POST", "", {"extra_specs": {"": "x"}}),
        ("POST", "", {"extra_specs": {"a": "x" * 256}}),
        ("POST", "", {"extra_specs": {"a": None}}),
        ("POST", "", {"extra_specs": {"a": True}}),
        ("POST", "", {"extra_specs": []}),
        ("POST", "", {"specs": {}}),
        ("PUT", "/a", {"b": "x"}),
        ("PUT", "/a", {"a": "x", "b": "y"}),
        ("PUT", "/a", {}),
    ],
)
async def test_what_no_extra_spec_can_be(api: Api, method: str, path: str, body: Any) -> None:
    assert message(await api.compute(method, SPECS + path, body), 400, "badRequest")
    assert await api.json(SPECS) == {"extra_specs": {}}


async def test_no_server_is_made_of_a_flavor_that_asks_for_what_it_would_not_get(api: Api) -> None:
    flavor = await own(api)
    await specs(api, flavor, hw__cpu_policy="dedicated", hw_rng__allowed="True", colour="red")
    image = await api.image()
    refused = message(await api.create(image, flavorRef=flavor), 400, "badRequest")
    assert refused.endswith("Flavor own requests unsupported features: hw:cpu_policy=dedicated.")
    assert "server.flavorRef" in refused
    await specs(api, flavor, hw__cpu_policy="shared")
    await api.server(image, flavorRef=flavor)


async def test_a_flavor_that_asks_for_hosts_of_an_aggregate(api: Api) -> None:
    flavor = await own(api)
    await specs(api, flavor, aggregate_instance_extra_specs__disk="<or> ssd <or> nvme")
    image = await api.image()
    made = await api.create(image, flavorRef=flavor)
    failed = await api.until(made.json()["server"]["id"], "ERROR")
    assert "AggregateInstanceExtraSpecsFilter refused box1" in failed["fault"]["message"]
    await api.compute("POST", "/os-aggregates", {"aggregate": {"name": "fast"}})
    for action in ({"add_host": {"host": "box1"}}, {"set_metadata": {"metadata": {"disk": "hdd,nvme"}}}):
        assert (await api.compute("POST", "/os-aggregates/1/action", action)).status_code == 200
    await api.server(image, flavorRef=flavor)


async def test_a_flavor_for_some_projects_only(api: Api) -> None:
    flavor = await own(api, "secret", public=False)
    await project(api, "p-friend")
    friend, other = api.as_("member", project="p-friend"), api.as_("member")
    access = f"/flavors/{flavor}/os-flavor-access"

    async def act(verb: str, tenant: str, flavor_id: str = flavor) -> Any:
        return await api.compute("POST", f"/flavors/{flavor_id}/action", {verb: {"tenant": tenant}})

    async def seen(caller: Api, query: str = "") -> bool:
        listed = (await caller.json(f"/flavors{query}"))["flavors"]
        one = (await caller.compute("GET", f"/flavors/{flavor}")).status_code
        assert query or (one == 200) == (flavor in [entry["id"] for entry in listed])
        return flavor in [entry["id"] for entry in listed]

    assert await api.json(access) == {"flavor_access": []}
    opened = await act("addTenantAccess", "p-friend")
    entry = {"flavor_id": flavor, "tenant_id": "p-friend"}
    assert (opened.status_code, opened.json()) == (200, {"flavor_access": [entry]})
    assert await api.json(access) == opened.json()
    assert (await seen(friend), await seen(other)) == (True, False)
    assert await seen(api, "?is_public=None")
    assert not await seen(api, "?is_public=True")

    friends = await friend.image()
    assert (await friend.create(friends, flavorRef=flavor)).status_code == 202
    others = await other.image()
    assert "secret could not be found" in message(await other.create(others, flavorRef=flavor), 400, "badRequest")

    assert message(await act("addTenantAccess", "p-friend"), 409, "conflictingRequest")
    assert message(await act("addTenantAccess", "p-friend", "1"), 409, "conflictingRequest")
    for version, code in (("2.7", 409), ("2.6", 200)):
        given = {"addTenantAccess": {"tenant": "p-friend"}}
        assert (await api.at(version).compute("POST", "/flavors/1/action", given)).status_code == code
    assert message(await act("addTenantAccess", "p-nobody"), 400, "badRequest")
    assert message(await act("removeTenantAccess", "p-nobody"), 404, "itemNotFound")
    assert message(await act("addTenantAccess", "p-friend", "none"), 404, "itemNotFound")
    assert message(await act("dance", "p-friend"), 400, "badRequest")
    assert message(await api.compute("POST", f"/flavors/{flavor}/action", {}), 400, "badRequest")
    assert message(await api.compute("GET", "/flavors/1/os-flavor-access"), 404, "itemNotFound")
    assert message(await friend.compute("GET", access), 403, "forbidden")
    body = {"addTenantAccess": {"tenant": "p-other"}}
    assert message(await other.compute("POST", f"/flavors/{flavor}/action", body), 403, "forbidden")

    assert (await act("removeTenantAccess", "p-friend")).json() == {"flavor_access": []}
    assert not await seen(friend)
    await act("addTenantAccess", "p-friend")
    assert (await api.compute("DELETE", f"/flavors/{flavor}")).status_code == 202
    await own(api, flavor, public=False)
    assert not await seen(friend)


async def test_names_and_values_are_checked_from_2_86(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with running_api() as api:
            typo = {"hw:cpu_polcy": "shared"}
            monkeypatch.setattr(flavor_extras, "CHECKED_FROM", v2(70))
            for body in (typo, {"hw:cpu_policy": "sharde"}, {"colour": "red", "quota:nonsense": "1"}):
                refused = await api.at("2.70").compute("POST", SPECS, {"extra_specs": body})
                assert "Validation failed" in message(refused, 400, "badRequest")
            refused = await api.at("2.70").compute("PUT", f"{SPECS}/hw:cpu_polcy", typo)
            assert "Validation failed" in message(refused, 400, "badRequest")
            assert await api.json(SPECS) == {"extra_specs": {}}
            good = {"hw:cpu_policy": "dedicated", "colour": "red"}
            assert (await api.at("2.70").compute("POST", SPECS, {"extra_specs": good})).status_code == 200
            assert (await api.at("2.69").compute("POST", SPECS, {"extra_specs": typo})).status_code == 200

    assert v2(86) == flavor_extras.CHECKED_FROM
    await main()
