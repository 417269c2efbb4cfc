# SPDX-License-Identifier: Apache-2.0
"""Images change hands, and are changed in the words of Image v2.0."""

from typing import Any

import httpx
import pytest

from tests.service.api import Api

NEW, OLD = (f"application/openstack-images-v2.{n}-json-patch" for n in (1, 0))


async def patched(api: Api, image_id: str, *operations: Any, kind: str = NEW) -> httpx.Response:
    headers = {"Content-Type": kind}
    return await api.call("PATCH", f"/image/v2/images/{image_id}", json=list(operations), headers=headers)


async def test_operations_are_taken_in_the_form_of_v2_0_too(api: Api) -> None:
    image_id = await api.image(release="1", old="x")
    operations = (
        {"replace": "/name", "value": "renamed"},
        {"add": "/tags", "value": ["one"]},
        {"add": "/colour", "value": "red"},
        {"remove": "/old"},
    )
    image = (await patched(api, image_id, *operations, kind=OLD)).json()
    assert (image["name"], image["tags"], image["colour"], "old" in image) == ("renamed", ["one"], "red", False)
    assert (await patched(api, image_id, operations[0], kind=NEW)).status_code == 400
    for wrong in (
        {"op": "replace", "path": "/name", "value": "x"},
        {"add": "/a", "remove": "/a", "value": "x"},
        {"replace": 1, "value": "x"},
        {"replace": "/name"},
        {"move": "/name", "value": "x"},
    ):
        assert (await patched(api, image_id, wrong, kind=OLD)).status_code == 400, wrong


@pytest.mark.parametrize("value", ["", None, 7, "x" * 256])
async def test_what_no_owner_can_be(api: Api, value: Any) -> None:
    image_id = await api.image()
    reply = await patched(api, image_id, {"op": "replace", "path": "/owner", "value": value})
    assert reply.status_code == 400, reply.text


async def test_there_is_no_way_in_but_the_upload(api: Api) -> None:
    assert (await api.call("GET", "/image/v2/info/import")).json()["import-methods"]["value"] == []


async def test_an_administrator_gives_an_image_to_another_project(api: Api) -> None:
    member = api.as_("member")
    image_id = await member.image()
    give = {"op": "replace", "path": "/owner", "value": "elsewhere"}
    assert (await patched(member, image_id, give)).status_code == 403
    assert (await patched(api, image_id, {"op": "remove", "path": "/owner"})).status_code == 403
    given = await patched(api, image_id, give)
    assert (given.status_code, given.json()["owner"]) == (200, "elsewhere")
    path = f"/image/v2/images/{image_id}"
    assert (await member.call("GET", path)).status_code == 404
    kept = await patched(api, image_id, {"op": "replace", "path": "/name", "value": "n"})
    assert kept.json()["owner"] == "elsewhere"
