# SPDX-License-Identifier: Apache-2.0
"""Images as Compute showed them once."""

from typing import Any

from tests.service.api import Api, message

SERVER = "11111111-1111-4111-8111-111111111111"


async def test_the_form_of_an_image(api: Api) -> None:
    old = api.at("2.35")
    image_id = await api.image(name="a", min_ram=64, instance_uuid=SERVER, colour="red")
    shown = (await old.json(f"/images/{image_id}"))["image"]
    assert shown.keys() == {
        "id", "name", "links", "status", "progress", "created", "updated", "minDisk", "minRam", "metadata",
        "OS-EXT-IMG-SIZE:size", "server",
    }  # fmt: skip
    assert (shown["status"], shown["progress"], shown["minRam"]) == ("ACTIVE", 100, 64)
    assert shown["OS-EXT-IMG-SIZE:size"] == 1 << 20
    assert shown["metadata"] == {"instance_uuid": SERVER, "colour": "red"}
    assert shown["server"]["id"] == SERVER
    assert [link["rel"] for link in shown["links"]] == ["self", "bookmark", "alternate"]
    assert (await old.json("/images/detail"))["images"] == [shown]
    (brief,) = (await old.json("/images"))["images"]
    assert brief.keys() == {"id", "name", "links"}
    for path in ("/images", "/images/detail", f"/images/{image_id}"):
        assert message(await api.at("2.36").compute("GET", path), 404, "itemNotFound")
    assert (await api.at("2.36").compute("DELETE", f"/images/{image_id}")).status_code == 404
    assert message(await old.compute("GET", "/images/a"), 404, "itemNotFound")
    assert (await old.as_("member").compute("DELETE", f"/images/{image_id}")).status_code == 404
    assert (await old.as_("reader").compute("DELETE", f"/images/{image_id}")).status_code == 403
    assert (await old.compute("DELETE", f"/images/{image_id}")).status_code == 204
    assert (await api.call("GET", f"/image/v2/images/{image_id}")).status_code == 404


async def test_lists(api: Api) -> None:
    old = api.at("2.1")
    for name in ("a", "b"):
        await api.image(name=name, image_type="snapshot" if name == "a" else "base", instance_uuid=SERVER)
    body = {"name": "c", "min_disk": 5}
    queued = (await api.call("POST", "/image/v2/images", json=body)).json()["id"]
    assert (await old.json(f"/images/{queued}"))["image"]["status"] == "SAVING"
    assert await old.names("/images") == ["c", "b", "a"]
    assert await old.names("/images?name=a") == ["a"]
    assert await old.names("/images?status=active") == ["b", "a"]
    assert await old.names("/images?type=snapshot") == ["a"]
    assert await old.names(f"/images?server=http://box/compute/v2.1/servers/{SERVER}") == ["b", "a"]
    assert await old.names("/images?property-image_type=base&nonsense=1") == ["b"]
    assert await old.names("/images?minDisk=1") == ["c"]
    assert await old.names("/images?changes-since=2999-01-01T00:00:00Z") == []
    page = await old.json("/images?limit=2")
    assert page["images_links"][0]["href"].startswith("http://box/compute/v2.1/images?limit=2&marker=")
    assert await old.names(f"/images?marker={page['images'][-1]['id']}") == ["a"]
    assert "images_links" not in await old.json("/images")
    assert await old.as_("member").names("/images") == []
    for bad in ("limit=-1", "marker=x", "changes-since=then", "minRam=x"):
        assert message(await old.compute("GET", f"/images?{bad}"), 400, "badRequest")


async def test_metadata(api: Api) -> None:
    old = api.at("2.38")
    image_id = await api.image(a="1")
    path = f"/images/{image_id}/metadata"

    async def put(method: str, where: str, body: Any) -> Any:
        reply = await old.compute(method, where, body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    assert await old.json(path) == {"metadata": {"a": "1"}}
    assert await put("POST", path, {"metadata": {"b": "2"}}) == {"metadata": {"a": "1", "b": "2"}}
    assert await put("PUT", f"{path}/b", {"meta": {"b": "3"}}) == {"meta": {"b": "3"}}
    assert await old.json(f"{path}/b") == {"meta": {"b": "3"}}
    assert (await old.compute("DELETE", f"{path}/a")).status_code == 204
    assert await old.json(path) == {"metadata": {"b": "3"}}
    assert await put("PUT", path, {"metadata": {"c": "4"}}) == {"metadata": {"c": "4"}}
    image = (await api.call("GET", f"/image/v2/images/{image_id}")).json()
    assert (image["c"], image["status"], image["name"]) == ("4", "active", "image")
    for method in ("GET", "DELETE"):
        assert message(await old.compute(method, f"{path}/a"), 404, "itemNotFound")
    for bad in ({"metadata": {"status": "x"}}, {"metadata": {"a/b": "x"}}, {"metadata": {"a": 1}}, {}):
        assert message(await old.compute("POST", path, bad), 400, "badRequest")
    assert message(await old.compute("PUT", f"{path}/a", {"meta": {"b": "x"}}), 400, "badRequest")
    public = await api.image(visibility="public")
    other = old.as_("member")
    assert message(await other.compute("POST", path, {"metadata": {}}), 404, "itemNotFound")
    theirs = f"/images/{public}/metadata"
    assert message(await other.compute("POST", theirs, {"metadata": {}}), 403, "forbidden")
    assert message(await api.at("2.39").compute("GET", path), 404, "itemNotFound")
