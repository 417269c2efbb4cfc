# SPDX-License-Identifier: Apache-2.0
"""A host that fetches and stores its images over signed URLs, from and to several API processes."""

import hashlib
import logging
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import structlog

from kilonova.base.errors import Forbidden, StaleWrite
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import image_stores as read_stores
from kilonova.images.signing import grant
from kilonova.objects.action import Action
from kilonova.objects.ids import AttemptId, HostName, ImageId
from kilonova.objects.leg import LegId
from kilonova.rpcapi.host_to_conductor_images import COMPLETE_IMAGE, FIND_IMAGE, CompleteImage, FindImage
from tests.service.api import until
from tests.service.stores import Node, Stores, running_stores

DATA = hashlib.shake_256(b"an image").digest(2 << 20)
HOST = HostName("box1")


@pytest.fixture
async def stores() -> AsyncGenerator[Stores]:
    async with running_stores(host=True) as made:
        yield made


async def create(node: Node, image_id: str) -> str:
    server = {"name": "s", "imageRef": image_id, "flavorRef": "1", "networks": "auto"}
    reply = await node.http.post("/compute/v2.1/servers", json={"server": server})
    assert reply.status_code == 202, reply.text
    return reply.json()["server"]["id"]


async def becomes(node: Node, server_id: str, status: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        server = (await node.http.get(f"/compute/v2.1/servers/{server_id}")).json()["server"]
        done = server["status"] in (status, "ERROR") and server["OS-EXT-STS:task_state"] is None
        return server if done else None

    found = await until(look)
    assert found["status"] == status, found
    return found


def bases(stores: Stores) -> list[Path]:
    """The files in the host's cache."""
    return [*(Path(stores.settings.default.instances_path) / "_base").glob("[0-9a-f]*")]


async def paused_snapshot(stores: Stores, node: Node, server_id: str) -> Action:
    """The action of a snapshot whose bytes no store takes yet."""
    for one in stores.nodes:
        one.faults.dead_for_writes = True
    image_id = await snapshot(node, server_id)
    await image_becomes(node, image_id, "saving")
    (action,) = await stores.db.read(read_actions.open_of_host, HOST)
    return action


def reads(node: Node) -> int:
    return sum(one.startswith("GET /image-store/") for one in node.faults.urls)


async def test_a_host_boots_from_an_image_that_it_fetches(stores: Stores) -> None:
    a, b = stores.nodes
    server_id = await create(b, await a.upload(DATA))
    await becomes(b, server_id, "ACTIVE")
    assert [path.read_bytes() for path in bases(stores)] == [DATA]
    assert reads(a) + reads(b) == 1


async def test_a_download_that_a_store_cuts_continues_at_the_other(stores: Stores) -> None:
    a, b = stores.nodes
    image_id = await a.upload(DATA)
    for node in (a, b):
        node.faults.cut_after = 1_200_000  # each sends a half
    await create(a, image_id)

    async def fetched() -> bool:
        return len(bases(stores)) == 1

    await until(fetched)
    assert [path.read_bytes() for path in bases(stores)] == [DATA]


async def test_a_store_with_other_bytes_is_refused_doubted_and_repaired(stores: Stores) -> None:
    a, b = stores.nodes
    image_id = await a.upload(DATA)
    for node, content in ((a, bytes(len(DATA))), (b, DATA)):
        node.file(image_id).write_bytes(content)
    for _ in range(3):  # (the first store is drawn)
        server_id = await create(a, image_id)
        await becomes(a, server_id, "ACTIVE")
        assert [path.read_bytes() for path in bases(stores)] == [DATA]
        bases(stores)[0].unlink()
        if len(await stores.copies(image_id)) == 1:
            break
    if len(await stores.copies(image_id)) == 2:
        a.upkeep.check_all()
    for _ in range(2):
        await a.upkeep.run()
    assert a.file(image_id).read_bytes() == DATA
    assert len(await stores.copies(image_id)) == 2


async def test_a_host_gets_no_image_that_no_leg_needs(stores: Stores) -> None:
    a, _ = stores.nodes
    image_id = ImageId(await a.upload(DATA))
    with pytest.raises(Forbidden, match="No open action of the host box1 needs"):
        await stores.rpc.call(FIND_IMAGE, FindImage(HOST, image_id), HOST)
    assert stores.metrics.value("kilonova_refused_image_requests_total", reason="no-leg") == 1
    key = (await stores.db.read(read_stores.keys))[0]
    for permission in (
        grant(image_id, "box2", stores.clock.now(), key),
        grant(ImageId("0" * 36), HOST, stores.clock.now(), key),
        "peer=box1&until=99999999999",
    ):
        with pytest.raises(Forbidden):
            await stores.rpc.call(FIND_IMAGE, FindImage(HOST, image_id, permission), HOST)
    permission = grant(image_id, HOST, stores.clock.now(), key)
    found = await stores.rpc.call(FIND_IMAGE, FindImage(HOST, image_id, permission), HOST)
    assert len(found.urls) == 2
    assert "signature" not in repr(found)


async def test_an_image_is_fetched_ahead_of_time(stores: Stores) -> None:
    a, _ = stores.nodes
    image_id = await a.upload(DATA)
    made = await a.http.post("/compute/v2.1/os-aggregates", json={"aggregate": {"name": "g"}})
    path = f"/compute/v2.1/os-aggregates/{made.json()['aggregate']['id']}"
    assert (await a.http.post(f"{path}/action", json={"add_host": {"host": HOST}})).status_code == 200
    reply = await a.http.post(f"{path}/images", json={"cache": [{"id": image_id}]})
    assert reply.status_code == 202, reply.text

    async def cached() -> bool:
        return len(bases(stores)) == 1

    await until(cached)


async def snapshot(node: Node, server_id: str) -> str:
    reply = await node.http.post(
        f"/compute/v2.1/servers/{server_id}/action", json={"createImage": {"name": "snapshot"}}
    )
    assert reply.status_code == 202, reply.text
    return reply.json()["image_id"]


async def image_becomes(node: Node, image_id: str, status: str) -> None:
    async def look() -> bool:
        return await node.status(image_id) == status

    await until(look)


async def test_a_snapshot_goes_to_two_stores_and_boots(stores: Stores) -> None:
    a, b = stores.nodes
    server_id = await create(a, await a.upload(DATA))
    await becomes(a, server_id, "ACTIVE")
    image_id = await snapshot(a, server_id)
    await image_becomes(b, image_id, "active")
    assert a.file(image_id).read_bytes() == b.file(image_id).read_bytes()
    assert len(await stores.copies(image_id)) == 2
    await becomes(b, await create(b, image_id), "ACTIVE")


async def test_a_snapshot_chooses_another_store_when_one_dies(stores: Stores) -> None:
    a, b = stores.nodes
    server_id = await create(a, await a.upload(DATA))
    await becomes(a, server_id, "ACTIVE")
    b.faults.dead = True
    image_id = await snapshot(a, server_id)
    await image_becomes(a, image_id, "active")
    assert await stores.copies(image_id) == {a.store.identity.store_id}


async def test_of_a_snapshot_that_fails_nothing_remains(stores: Stores) -> None:
    a, b = stores.nodes
    server_id = await create(a, await a.upload(DATA))
    await becomes(a, server_id, "ACTIVE")
    a.full[0] = b.full[0] = True
    image_id = await snapshot(a, server_id)
    await image_becomes(a, image_id, "gone")
    for node in (a, b):
        await node.upkeep.run()
        assert not [path for path in node.root.iterdir() if image_id in path.name]


async def test_a_report_without_a_receipt_of_a_store_is_refused(stores: Stores) -> None:
    """A host of a fleet cannot say that an image is complete: only a store can."""
    a, _ = stores.nodes
    server_id = await create(a, await a.upload(DATA))
    await becomes(a, server_id, "ACTIVE")
    action = await paused_snapshot(stores, a, server_id)
    assert action.attempt is not None
    for forged in ("", "first.00", "x"):
        lie = CompleteImage(HOST, action.leg_id, action.attempt, 9, 1 << 30, "m", "s", ("some store",), forged)
        with pytest.raises(Forbidden, match="not of an image store"):
            await stores.rpc.call(COMPLETE_IMAGE, lie, HOST)
    stale = CompleteImage(HOST, LegId(action.id, 0), AttemptId("old"), 9, 1 << 30, "m", "s")
    with pytest.raises(StaleWrite):
        await stores.rpc.call(COMPLETE_IMAGE, stale, HOST)


async def test_shelving_and_unshelving(stores: Stores) -> None:
    a, b = stores.nodes
    server_id = await create(a, await a.upload(DATA))
    await becomes(a, server_id, "ACTIVE")
    action = f"/compute/v2.1/servers/{server_id}/action"
    assert (await a.http.post(action, json={"shelve": None})).status_code == 202
    await becomes(a, server_id, "SHELVED_OFFLOADED")
    assert (await b.http.post(action, json={"unshelve": None})).status_code == 202
    await becomes(b, server_id, "ACTIVE")
    for node in (a, b):
        await node.upkeep.run()
        assert len([path for path in node.root.iterdir() if len(path.name) == 36]) == 1  # the first image


async def test_no_log_line_has_a_signature(stores: Stores, caplog: pytest.LogCaptureFixture) -> None:
    a, b = stores.nodes
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as lines:
        image_id = await a.upload(DATA)
        a.faults.cut_after = b.faults.cut_after = 1_200_000
        await create(a, image_id)

        async def fetched() -> bool:
            return len(bases(stores)) == 1

        await until(fetched)
    assert any("signature=" in one for one in a.faults.urls + b.faults.urls)
    assert lines
    said = [f"{one.name}: {one.getMessage()}" for one in caplog.records]
    assert [line for line in (*map(str, lines), *said) if "signature=" in line] == []
