# SPDX-License-Identifier: Apache-2.0
"""A download that broke off is taken up again: parts of an image's bytes."""

import httpx
import pytest

from tests.service.api import Api

SIZE = 3 << 20
DATA = bytes(range(256)) * (SIZE // 256)


async def fetched(api: Api, image_id: str, wanted: str, **more: str) -> httpx.Response:
    return await api.call("GET", f"/image/v2/images/{image_id}/file", headers={"Range": wanted, **more})


async def test_parts_of_an_image(api: Api) -> None:
    image_id = await api.image(DATA)
    whole = await api.call("GET", f"/image/v2/images/{image_id}/file")
    assert (whole.status_code, whole.headers["accept-ranges"], whole.content) == (200, "bytes", DATA)
    for wanted, first, last in (
        ("bytes=0-0", 0, 0),
        ("bytes=1000000-2500000", 1_000_000, 2_500_000),
        ("bytes=3000000-", 3_000_000, SIZE - 1),
        (f"bytes=5-{SIZE * 2}", 5, SIZE - 1),
        ("bytes=-7", SIZE - 7, SIZE - 1),
        (f"bytes=-{SIZE * 2}", 0, SIZE - 1),
    ):
        part = await fetched(api, image_id, wanted)
        assert (part.status_code, part.headers["content-range"]) == (206, f"bytes {first}-{last}/{SIZE}"), wanted
        assert part.headers["content-length"] == str(last - first + 1)
        assert part.content == DATA[first : last + 1], wanted
        assert "content-md5" not in part.headers


@pytest.mark.parametrize("wanted", ["bytes=0-1,4-5", "bytes=-", "bytes=9-3", "lines=1-2", "bytes=x-", ""])
async def test_what_is_no_range_is_ignored(api: Api, wanted: str) -> None:
    image_id = await api.image()
    reply = await fetched(api, image_id, wanted)
    assert (reply.status_code, len(reply.content)) == (200, 1 << 20)
    newer = await fetched(api, image_id, "bytes=0-0", **{"If-Range": '"x"'})
    assert newer.status_code == 200


@pytest.mark.parametrize("wanted", [f"bytes={1 << 20}-", f"bytes={1 << 21}-{1 << 22}", "bytes=-0"])
async def test_what_lies_beyond_the_image(api: Api, wanted: str) -> None:
    reply = await fetched(api, await api.image(), wanted)
    assert (reply.status_code, reply.headers["content-range"]) == (416, f"bytes */{1 << 20}")
