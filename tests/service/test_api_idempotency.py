# SPDX-License-Identifier: Apache-2.0
"""Idempotency-Key: the same create again is the same server."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from kilonova.conductor import idempotency
from kilonova.objects.idempotency import KEPT, Idempotent
from kilonova.objects.ids import ActionId
from kilonova.rpcapi.api_to_conductor import CreateServers
from tests import make
from tests.service.api import Api


async def create(api: Api, image: str, key: str = "k", **fields: Any) -> httpx.Response:
    server = {"name": "server", "imageRef": image, "flavorRef": "1", "networks": "none", **fields}
    return await api.call("POST", "/compute/v2.1/servers", json={"server": server}, headers={"Idempotency-Key": key})


async def servers(api: Api) -> int:
    return len((await api.json("/servers"))["servers"])


async def test_the_first_answer_is_given_again(api: Api) -> None:
    image = await api.image()
    first, again = await create(api, image), await create(api, image)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert first.headers["Location"] == again.headers["Location"]
    assert first.headers["x-openstack-request-id"] != again.headers["x-openstack-request-id"]
    assert await servers(api) == 1
    assert (await create(api, image, "other")).json() != first.json()
    chosen = [await create(api, image, "p", adminPass="verysecret") for _ in range(2)]
    assert chosen[0].json() == chosen[1].json()
    several = [await create(api, image, "n", max_count=2, return_reservation_id=True) for _ in range(2)]
    assert several[0].json() == several[1].json()
    assert await servers(api) == 5
    # What it was made of may be gone meanwhile: it is not made again.
    assert (await api.call("DELETE", f"/image/v2/images/{image}")).status_code == 204
    assert (await create(api, image)).json() == first.json()


async def test_a_password_that_the_client_gave_is_not_kept(api: Api) -> None:
    await create(api, await api.image(), adminPass="verysecret")
    state = api.cloud.state
    assert all(b"verysecret" not in path.read_bytes() for path in state.glob("kilonova.db*"))


async def test_a_key_stands_for_one_request_of_one_user(api: Api) -> None:
    image = await api.image(visibility="public")
    first = await create(api, image)
    other = await create(api, image, name="another")
    assert other.status_code == 422
    assert "another request" in other.json()["computeFault"]["message"]
    theirs = await create(api.as_("member"), image)
    assert theirs.status_code == 202
    assert theirs.json()["server"]["id"] != first.json()["server"]["id"]


async def accepted(api: Api, image: str) -> httpx.Response:
    """The acceptance, after as many requests as a busy database needs: it refuses them, and accepts nothing of them."""
    while (reply := await create(api, image)).status_code == 503:
        pass
    assert reply.status_code == 202, reply.text
    return reply


async def test_of_many_at_once_one_creates(api: Api) -> None:
    image = await api.image()
    replies = await asyncio.gather(*(accepted(api, image) for _ in range(8)))
    assert len({reply.json()["server"]["id"] for reply in replies}) == 1
    assert await servers(api) == 1


async def test_what_was_refused_is_not_remembered(api: Api) -> None:
    image = await api.image()
    assert (await create(api, image, flavorRef="none")).status_code == 400
    assert (await create(api, image)).status_code == 202


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb"])
async def test_a_key_has_a_form(api: Api, key: str) -> None:
    assert (await create(api, await api.image(), key)).status_code == 400


async def test_a_key_is_forgotten_after_a_day(tmp_path: Path) -> None:
    db = make.database(tmp_path)

    answers: list[str | None] = []
    for number, after in enumerate((timedelta(0), KEPT - timedelta(seconds=1), KEPT)):
        instance = make.instance(id=f"i-{number}")
        asked = Idempotent(instance.project_id, instance.user_id, "k", "f", f"answer {number}")
        request = CreateServers(make.context(f"req-{number}"), (instance,), idempotent=asked)
        _, created = await db.write(idempotency.create, request, (ActionId(f"a-{number}"),), make.NOW + after)
        answers.append(created.answer)
    assert answers == [None, "answer 0", None]
