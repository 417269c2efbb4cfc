# SPDX-License-Identifier: Apache-2.0
"""One project's images stay within its quota and leave room on the disk, over HTTP on a whole cloud."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from tests.service.api import OCTETS, RAW, Api, message, running_api
from tests.service.people import member

COUNT, SIZE = ("quota", "image_count_total"), ("quota", "image_size_total")
MIB = 1 << 20


async def record(api: Api) -> str:
    made = await api.call("POST", "/image/v2/images", json={"disk_format": "raw", "container_format": "bare"})
    assert made.status_code == 201, made.text
    return made.json()["id"]


async def put(api: Api, image_id: str, data: Any) -> Any:
    return await api.call("PUT", f"/image/v2/images/{image_id}/file", content=data, headers=OCTETS)


async def status(api: Api, image_id: str) -> str:
    return (await api.call("GET", f"/image/v2/images/{image_id}")).json()["status"]


async def usage(api: Api) -> dict[str, Any]:
    return (await api.call("GET", "/image/v2/info/usage")).json()["usage"]


async def pieces(count: int, go: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    for number in range(count):
        if number and go is not None:
            await go.wait()
        yield bytes(MIB)


async def test_images_are_counted_and_snapshots_among_them() -> None:
    async with running_api({COUNT: 2}) as api:
        ann, _, _ = await member(api, "ann")
        image_id = await ann.image()
        await record(ann)
        body = {"disk_format": "raw", "container_format": "bare"}
        assert "quota is 2" in message(await ann.call("POST", "/image/v2/images", json=body), 413, "overLimit")
        server_id = await ann.server(image_id)
        action = await ann.act(server_id, {"createImage": {"name": "snap"}})
        assert "quota is 2" in message(action, 403, "forbidden")
        assert await usage(ann) == {
            "image_count_total": {"limit": 2, "usage": 2},
            "image_size_total": {"limit": 51200, "usage": 1},
        }
        for _ in range(3):
            await record(api)  # the box's owner


async def test_bytes_are_counted_before_they_come_or_as_they_come() -> None:
    async with running_api({SIZE: 4}) as api:
        ann, _, _ = await member(api, "ann")
        first, second, third = [await record(ann) for _ in range(3)]
        assert "4 MiB" in message(await put(ann, first, bytes(4 * MIB + 1)), 413, "overLimit")
        assert (await put(ann, first, bytes(3 * MIB))).status_code == 204
        assert (await put(ann, second, bytes(2 * MIB))).status_code == 413
        assert (await status(ann, second), (await usage(ann))["image_size_total"]["usage"]) == ("queued", 3)
        assert (await put(ann, third, RAW)).status_code == 204
        assert (await put(ann, second, b"x")).status_code == 413
        assert (await ann.call("DELETE", f"/image/v2/images/{first}")).status_code == 204
        assert (await put(ann, second, RAW)).status_code == 204


async def test_uploads_at_once_share_what_is_left() -> None:
    async with running_api({SIZE: 100}) as api:
        ann, _, _ = await member(api, "ann")
        slow, other = [await record(ann) for _ in range(2)]
        go = asyncio.Event()
        going = asyncio.ensure_future(put(ann, slow, pieces(3, go)))  # of a length that nobody knows
        await ann.image_becomes(slow, "saving")
        assert (await put(ann, other, bytes(50 * MIB))).status_code == 413
        assert (await put(ann, other, bytes(30 * MIB))).status_code == 204
        go.set()
        assert (await going).status_code == 204
        assert (await usage(ann))["image_size_total"]["usage"] == 33


async def test_of_a_length_that_nobody_knows_it_ends_at_the_quota() -> None:
    async with running_api({SIZE: 70}) as api:
        ann, _, _ = await member(api, "ann")
        image_id = await record(ann)
        assert (await put(ann, image_id, pieces(71))).status_code == 413
        assert await status(ann, image_id) == "queued"
        assert (await usage(ann))["image_size_total"]["usage"] == 0
        assert [path.name for path in (api.cloud.state / "images").iterdir()] == []


async def test_a_disk_keeps_room_for_everything_else(api: Api) -> None:
    image_id = await record(api)
    api.cloud.box.images.keep_free(lambda total: total)
    for data in (RAW, pieces(2)):
        reply = await put(api, image_id, data)
        assert "There is no room" in message(reply, 503, "serviceUnavailable")
        assert await status(api, image_id) == "queued"
    api.cloud.box.images.keep_free(lambda _total: 0)
    assert (await put(api, image_id, RAW)).status_code == 204
