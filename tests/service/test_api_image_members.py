# SPDX-License-Identifier: Apache-2.0
"""Images that are shared with single projects, and those of the community."""

from typing import Any

import httpx

from tests.service.api import RAW, Api, message, running_api

OWNER, FRIEND, STRANGER = "p-owner", "p-friend", "p-stranger"


def people(api: Api) -> tuple[Api, Api, Api]:
    """Members of three projects."""
    owner, friend, stranger = (api.as_("member", project=name, user=f"u-{name}") for name in (OWNER, FRIEND, STRANGER))
    return owner, friend, stranger


async def members(api: Api, method: str, image: str, member: str = "", body: Any = None) -> httpx.Response:
    path = f"/image/v2/images/{image}/members" + (f"/{member}" if member else "")
    return await api.call(method, path, **({} if body is None else {"json": body}))


async def listed(api: Api, query: str = "") -> list[str]:
    reply = await api.call("GET", f"/image/v2/images{query}")
    assert reply.status_code == 200, reply.text
    return sorted(image["name"] for image in reply.json()["images"])


async def becomes(api: Api, image: str, visibility: str) -> httpx.Response:
    patch = [{"op": "replace", "path": "/visibility", "value": visibility}]
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    return await api.call("PATCH", f"/image/v2/images/{image}", json=patch, headers=headers)


async def test_a_shared_image_is_seen_by_its_members_as_they_say_and_by_nobody_else() -> None:
    async def main() -> None:
        async with running_api() as api:
            owner, friend, stranger = people(api)
            image = await owner.image(name="picture")
            shared = await members(owner, "POST", image, body={"member": FRIEND})
            assert shared.status_code == 200
            made = shared.json()
            assert (made["member_id"], made["image_id"], made["status"]) == (FRIEND, image, "pending")
            assert made["schema"] == "/v2/schemas/member"
            assert "already" in message(
                await members(owner, "POST", image, body={"member": FRIEND}), 409, "conflictingRequest"
            )
            assert (await members(friend, "GET", image, FRIEND)).json() == made
            await members(owner, "POST", image, body={"member": "p-third"})
            # The owner sees all members, each of them itself.
            assert [one["member_id"] for one in (await members(owner, "GET", image)).json()["members"]] == [
                FRIEND,
                "p-third",
            ]
            assert [one["member_id"] for one in (await members(friend, "GET", image)).json()["members"]] == [FRIEND]
            assert (await members(friend, "GET", image, "p-third")).status_code == 404
            for status in ("pending", "rejected", "accepted"):
                changed = await members(friend, "PUT", image, FRIEND, {"status": status})
                assert changed.json()["status"] == status
                assert await listed(friend) == (["picture"] if status == "accepted" else [])
                assert await listed(friend, f"?member_status={status}") == ["picture"]
                assert await listed(friend, f"?visibility=shared&member_status={status}") == ["picture"]
                assert await listed(friend, "?member_status=all") == ["picture"]
                # By its id it is there, whatever was said of it.
                assert (await friend.call("GET", f"/image/v2/images/{image}")).status_code == 200
                assert (await friend.call("GET", f"/image/v2/images/{image}/file")).content == RAW
            assert await listed(friend, "?member_status=pending") == []
            for query in (
                "",
                "?member_status=all",
                "?visibility=all&member_status=all",
                f"?owner={OWNER}&member_status=all",
            ):
                assert await listed(stranger, query) == []
            await _refused(owner, friend, stranger, image)
            for gone in ("private", "community"):
                assert (await becomes(owner, image, gone)).status_code == 200
                assert await listed(friend) == []
                assert "Only shared images" in message(await members(owner, "GET", image), 403, "forbidden")
                assert (await becomes(owner, image, "shared")).status_code == 200
            assert await listed(friend) == ["picture"]
            assert (await members(owner, "DELETE", image, FRIEND)).status_code == 204
            assert await listed(friend, "?member_status=all") == []
            assert (await friend.call("GET", f"/image/v2/images/{image}")).status_code == 404
            assert (await members(owner, "DELETE", image, FRIEND)).status_code == 404
            # An image goes with its members.
            assert (await owner.call("DELETE", f"/image/v2/images/{image}")).status_code == 204

    async def _refused(owner: Api, friend: Api, stranger: Api, image: str) -> None:
        """What is not theirs to do."""
        accepted = {"status": "accepted"}
        assert "only the member can change" in message(
            await members(owner, "PUT", image, FRIEND, accepted), 403, "forbidden"
        )
        assert (await members(friend, "PUT", image, "p-third", accepted)).status_code == 404
        assert (await members(friend, "PUT", image, FRIEND, {"status": "glad"})).status_code == 400
        assert (await members(friend, "POST", image, body={"member": STRANGER})).status_code == 403
        assert (await members(friend, "DELETE", image, FRIEND)).status_code == 403
        for wrong in ({}, {"member": ""}, {"member": "x" * 65}, {"member": 7}):
            assert (await members(owner, "POST", image, body=wrong)).status_code == 400
        for method, member, body in (
            ("GET", "", None), ("POST", "", {"member": STRANGER}), ("GET", FRIEND, None),
            ("PUT", FRIEND, accepted), ("PUT", STRANGER, accepted), ("DELETE", FRIEND, None),
        ):  # fmt: skip
            assert (await members(stranger, method, image, member, body)).status_code == 404
        for method, more in (("DELETE", ""), ("PUT", "/file"), ("PUT", "/tags/x"), ("POST", "/actions/deactivate")):
            octets = {"Content-Type": "application/octet-stream"}
            assert (await friend.call(method, f"/image/v2/images/{image}{more}", headers=octets)).status_code == 403
        assert (await becomes(friend, image, "private")).status_code == 403
        assert (await stranger.call("GET", "/image/v2/images?visibility=mine")).status_code == 400
        assert (await stranger.call("GET", "/image/v2/images?member_status=glad")).status_code == 400

    await main()


async def test_no_more_members_than_image_v2_permits(api: Api) -> None:
    image = await api.image()
    for number in range(128):
        assert (await members(api, "POST", image, body={"member": f"p{number}"})).status_code == 200
    assert (await members(api, "POST", image, body={"member": "one-too-many"})).status_code == 413


async def test_an_image_of_the_community_is_used_by_whoever_knows_it_and_listed_where_it_is_asked_for(api: Api) -> None:
    owner, friend, _ = people(api)
    image = await owner.image(name="picture", visibility="community")
    for one, names in ((owner, ["picture"]), (friend, []), (api, [])):
        assert await listed(one) == names
        assert await listed(one, "?visibility=community") == ["picture"]
        assert await listed(one, "?visibility=all") == ["picture"]
        assert await listed(one, "?visibility=public") == []
        assert (await one.call("GET", f"/image/v2/images/{image}/file")).content == RAW
    assert (await friend.call("DELETE", f"/image/v2/images/{image}")).status_code == 403
    assert (await owner.at("2.35").json("/images"))["images"] != []
    assert (await friend.at("2.35").json("/images"))["images"] == []
    await friend.server(image)


async def test_a_member_makes_rebuilds_and_rescues_servers_of_a_shared_image_and_keeps_them(api: Api) -> None:
    owner, friend, stranger = people(api)
    image = await owner.image(name="picture")
    await members(owner, "POST", image, body={"member": FRIEND})
    assert (await stranger.create(image)).status_code == 400
    server = await friend.server(image)  # (what it said of the image yet: nothing)
    for action in ({"rebuild": {"imageRef": image}}, {"rescue": {"rescue_image_ref": image}}):
        reply = await friend.act(server, action)
        assert reply.status_code in (200, 202), reply.text
        await friend.until(server, "ACTIVE" if "rebuild" in action else "RESCUE")
    await members(owner, "DELETE", image, FRIEND)
    assert (await friend.create(image)).status_code == 400
    assert (await friend.json(f"/servers/{server}"))["server"]["image"]["id"] == image
    # A project that is gone is no member any more.
    await members(owner, "POST", image, body={"member": STRANGER})
    assert (await api.call("DELETE", f"/identity/v3/projects/{STRANGER}")).status_code == 204
    assert (await members(owner, "GET", image)).json()["members"] == []


async def test_an_empty_image_is_one_and_no_server_boots_from_it(api: Api) -> None:
    image = await api.image(b"")
    shown = (await api.call("GET", f"/image/v2/images/{image}")).json()
    assert (shown["status"], shown["size"], shown["virtual_size"]) == ("active", 0, 0)
    assert shown["checksum"] == "d41d8cd98f00b204e9800998ecf8427e"
    reply = await api.call("GET", f"/image/v2/images/{image}/file")
    assert (reply.status_code, reply.content, reply.headers["content-length"]) == (200, b"", "0")
    assert "is empty" in message(await api.create(image), 400, "badRequest")
    queued = (await api.call("POST", "/image/v2/images", json={"name": "q"})).json()["id"]
    assert (await api.call("GET", f"/image/v2/images/{queued}/file")).status_code == 204


async def test_properties_of_the_image_service_are_its_own(api: Api) -> None:
    name = "os_glance_import_task"
    made = await api.call("POST", "/image/v2/images", json={"name": "x", name: "y"})
    assert "reserved" in message(made, 403, "forbidden")
    image = await api.image()
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    for op in ("add", "replace", "remove"):
        patch = [{"op": op, "path": f"/{name}", "value": "y"}]
        reply = await api.call("PATCH", f"/image/v2/images/{image}", json=patch, headers=headers)
        assert "reserved" in message(reply, 403, "forbidden")
    proxied = await api.at("2.38").compute("POST", f"/images/{image}/metadata", {"metadata": {name: "y"}})
    assert "reserved" in message(proxied, 403, "forbidden")
    server = await api.server(image)
    action = {"createImage": {"name": "snap", "metadata": {name: "y"}}}
    reply = await api.act(server, action)
    assert "reserved" in message(reply, 403, "forbidden")
