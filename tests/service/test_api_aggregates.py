# SPDX-License-Identifier: Apache-2.0
"""Aggregates, and the availability zones that they make."""

from typing import Any

import pytest

from tests.service.api import Api, message, until


async def aggregate(api: Api, name: str, zone: str | None = None) -> int:
    body: dict[str, Any] = {"name": name, **({} if zone is None else {"availability_zone": zone})}
    reply = await api.compute("POST", "/os-aggregates", {"aggregate": body})
    assert reply.status_code == 200, reply.text
    return reply.json()["aggregate"]["id"]


async def act(api: Api, aggregate_id: int, verb: str, **what: Any) -> Any:
    return await api.compute("POST", f"/os-aggregates/{aggregate_id}/action", {verb: what})


async def zone_of_host(api: Api) -> str:
    (service,) = (await api.json("/os-services?binary=nova-compute"))["services"]
    return service["zone"]


async def test_the_life_of_an_aggregate(api: Api) -> None:
    assert await api.json("/os-aggregates") == {"aggregates": []}
    made = await api.compute("POST", "/os-aggregates", {"aggregate": {"name": "rack"}})
    first = made.json()["aggregate"]
    assert made.status_code == 200
    assert first.keys() == {
        "id", "name", "availability_zone", "created_at", "updated_at", "deleted", "deleted_at", "uuid"
    }  # fmt: skip
    assert (first["id"], first["name"], first["availability_zone"], first["updated_at"]) == (
        1,
        "rack",
        None,
        None,
    )
    path = "/os-aggregates/1"
    shown = (await api.json(path))["aggregate"]
    assert shown == {**first, "hosts": [], "metadata": {}}
    assert "uuid" not in (await api.at("2.40").json(path))["aggregate"]
    changed = await api.compute("PUT", path, {"aggregate": {"name": "shelf", "availability_zone": "cellar"}})
    after = changed.json()["aggregate"]
    assert (after["name"], after["availability_zone"]) == ("shelf", "cellar")
    assert after["metadata"] == {"availability_zone": "cellar"}
    assert after["updated_at"] is not None
    said = await act(api, 1, "set_metadata", metadata={"disk": "ssd", "rack": "7"})
    assert said.json()["aggregate"]["metadata"] == {"disk": "ssd", "rack": "7", "availability_zone": "cellar"}
    said = await act(api, 1, "set_metadata", metadata={"rack": None, "availability_zone": "attic"})
    assert said.json()["aggregate"]["metadata"] == {"disk": "ssd", "availability_zone": "attic"}
    assert (await api.compute("PUT", path, {"aggregate": {"availability_zone": None}})).status_code == 200
    assert (await api.json(path))["aggregate"]["metadata"] == {"disk": "ssd"}
    assert [one["name"] for one in (await api.json("/os-aggregates"))["aggregates"]] == ["shelf"]
    gone = await api.compute("DELETE", path)
    assert (gone.status_code, gone.content) == (200, b"")
    for method, body in (("GET", None), ("DELETE", None), ("PUT", {"aggregate": {"name": "x"}})):
        assert message(await api.compute(method, path, body), 404, "itemNotFound")


async def test_hosts_come_and_go(api: Api) -> None:
    rack = await aggregate(api, "rack")
    added = await act(api, rack, "add_host", host="box1")
    assert (added.status_code, added.json()["aggregate"]["hosts"]) == (200, ["box1"])
    assert "already has host" in message(await act(api, rack, "add_host", host="box1"), 409, "conflictingRequest")
    assert message(await act(api, rack, "add_host", host="mars"), 404, "itemNotFound")
    assert message(await act(api, rack, "remove_host", host="mars"), 404, "itemNotFound")
    assert message(await act(api, 99, "add_host", host="box1"), 404, "itemNotFound")
    assert "not empty" in message(await api.compute("DELETE", f"/os-aggregates/{rack}"), 400, "badRequest")
    assert (await act(api, rack, "remove_host", host="box1")).json()["aggregate"]["hosts"] == []
    assert (await api.compute("DELETE", f"/os-aggregates/{rack}")).status_code == 200


async def test_a_zone_is_an_aggregate_with_a_zones_name(api: Api) -> None:
    image = await api.image()
    old = await api.server(image)
    cellar = await aggregate(api, "rack", "cellar")
    assert await zone_of_host(api) == "nova"
    await act(api, cellar, "add_host", host="box1")
    assert await zone_of_host(api) == "cellar"
    (zone,) = (await api.json("/os-availability-zone"))["availabilityZoneInfo"]
    assert zone == {"zoneName": "cellar", "zoneState": {"available": True}, "hosts": None}
    detail, internal = (await api.json("/os-availability-zone/detail"))["availabilityZoneInfo"]
    assert (detail["zoneName"], internal["zoneName"]) == ("cellar", "internal")
    assert detail["hosts"].keys() == {"box1"}
    # The server that was there goes with its host.
    assert (await api.until(old, "ACTIVE"))["OS-EXT-AZ:availability_zone"] == "cellar"
    made = await api.server(image, availability_zone="cellar")
    assert (await api.until(made, "ACTIVE"))["OS-EXT-AZ:availability_zone"] == "cellar"
    assert "nova is not available" in message(await api.create(image, availability_zone="nova"), 400, "badRequest")
    # Its name cannot be changed under servers.
    rename = {"aggregate": {"availability_zone": "attic"}}
    refused = await api.compute("PUT", f"/os-aggregates/{cellar}", rename)
    assert "contain instances in this zone" in message(refused, 400, "badRequest")
    for zone_name in ("attic", None):
        refused = await act(api, cellar, "set_metadata", metadata={"availability_zone": zone_name})
        assert "contain instances in this zone" in message(refused, 400, "badRequest")
    same = {"aggregate": {"availability_zone": "cellar", "name": "renamed"}}
    assert (await api.compute("PUT", f"/os-aggregates/{cellar}", same)).status_code == 200
    # Another zone for the same host: neither by joining nor by a name.
    attic = await aggregate(api, "other", "attic")
    joined = await act(api, attic, "add_host", host="box1")
    assert "availability zone(s) ['cellar']" in message(joined, 409, "conflictingRequest")
    plain = await aggregate(api, "plain")
    assert (await act(api, plain, "add_host", host="box1")).status_code == 200
    named = await act(api, plain, "set_metadata", metadata={"availability_zone": "attic"})
    assert "availability zone(s) ['cellar']" in message(named, 400, "badRequest")
    await act(api, cellar, "remove_host", host="box1")
    assert await zone_of_host(api) == "nova"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"aggregate": {}}),
        ("", {"aggregate": {"name": ""}}),
        ("", {"aggregate": {"name": " x"}}),
        ("", {"aggregate": {"name": "x" * 256}}),
        ("", {"aggregate": {"name": "x", "availability_zone": "a:b"}}),
        ("", {"aggregate": {"name": "x", "availability_zone": ""}}),
        ("", {"aggregate": {"name": "x", "more": 1}}),
        ("/1/action", {}),
        ("/1/action", {"dance": {}}),
        ("/1/action", {"add_host": {"host": "box1"}, "remove_host": {"host": "box1"}}),
        ("/1/action", {"add_host": {"host": 5}}),
        ("/1/action", {"set_metadata": {"metadata": {}}}),
        ("/1/action", {"set_metadata": {"metadata": {"a/b": "x"}}}),
        ("/1/action", {"set_metadata": {"metadata": {"a": 5}}}),
        ("/1/action", {"set_metadata": {"metadata": {"a": "x" * 256}}}),
        ("/1/action", {"set_metadata": {"metadata": {"availability_zone": ""}}}),
        ("/1/action", {"set_metadata": {"metadata": {"availability_zone": "a:b"}}}),
        ("/1/action", {"set_metadata": {"metadata": {"availability_zone": " a"}}}),
        ("/1/action", {"set_metadata": {"metadata": {"availability_zone": "a\x07"}}}),
    ],
)
async def test_what_no_aggregate_can_be(api: Api, path: str, body: Any) -> None:
    await aggregate(api, "first")
    assert message(await api.compute("POST", f"/os-aggregates{path}", body), 400, "badRequest")


async def test_names_are_taken_once_and_looked_up_by_a_list(api: Api) -> None:
    await aggregate(api, "a")
    await aggregate(api, "b")
    twice = await api.compute("POST", "/os-aggregates", {"aggregate": {"name": "a"}})
    assert message(twice, 409, "conflictingRequest")
    renamed = await api.compute("PUT", "/os-aggregates/2", {"aggregate": {"name": "a"}})
    assert message(renamed, 409, "conflictingRequest")
    for bad in ({}, {"name": None}, {"nonsense": 1}):
        assert message(await api.compute("PUT", "/os-aggregates/2", {"aggregate": bad}), 400, "badRequest")
    for nobody in ("a", "0", "-1", "9" * 30, "%F0%9F%8C%9F"):
        assert message(await api.compute("GET", f"/os-aggregates/{nobody}"), 404, "itemNotFound")
    other = api.as_("member")
    assert message(await other.compute("GET", "/os-aggregates"), 403, "forbidden")
    assert message(await act(other, 1, "add_host", host="box1"), 403, "forbidden")


async def test_images_are_fetched_beforehand_from_2_81(api: Api) -> None:
    image = await api.image()
    made = await api.compute("POST", "/os-aggregates", {"aggregate": {"name": "fast"}})
    path = f"/os-aggregates/{made.json()['aggregate']['id']}"
    await api.compute("POST", f"{path}/action", {"add_host": {"host": "box1"}})
    cached = api.cloud.state / "instances" / "_base"
    assert not cached.exists()
    body = {"cache": [{"id": image}, {"id": image}]}
    for _ in range(2):
        assert (await api.compute("POST", f"{path}/images", body)).status_code == 202

    async def is_there() -> bool:
        return cached.exists() and any(one.suffix == ".raw" for one in cached.iterdir())

    await until(is_there)
    broken = {"cache": [{"id": "00000000-0000-4000-8000-000000000000"}]}
    assert message(await api.compute("POST", f"{path}/images", broken), 400, "badRequest")
    for bad in ({}, {"cache": []}, {"cache": [image]}, {"cache": [{"id": image, "x": 1}]}):
        assert (await api.compute("POST", f"{path}/images", bad)).status_code == 400
    assert (await api.compute("POST", "/os-aggregates/99/images", body)).status_code == 404
    assert (await api.at("2.80").compute("POST", f"{path}/images", body)).status_code == 404
    assert (await api.as_("member").compute("POST", f"{path}/images", body)).status_code == 403
