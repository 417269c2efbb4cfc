# SPDX-License-Identifier: Apache-2.0
"""The image stores of several API processes: copies, failures, repair, and signed URLs."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa

from kilonova.base.errors import Conflict, NotFound
from kilonova.db.readers import image_stores as read_stores
from kilonova.db.readers import images as read_images
from kilonova.db.writers import image_stores as write_stores
from kilonova.images.signing import Permit, Use, signed_url
from kilonova.objects.ids import ImageId
from kilonova.objects.image import Image, ImageStatus
from kilonova.objects.image_store import LOST
from kilonova.rpcapi.api_to_conductor import UPDATE_IMAGE, PutImage
from kilonova.rpcapi.api_to_conductor_fleet import FORGET_STORE, READ_FLEET, ForgetStore, ReadFleet, StoreForgotten
from tests.service.api import OCTETS, until
from tests.service.stores import Node, Stores, running_stores

DATA = hashlib.shake_256(b"an image").digest(2 << 20)
"""Two MiB, of which no part is like another."""


@pytest.fixture
async def stores() -> AsyncGenerator[Stores]:
    async with running_stores() as made:
        yield made


async def record(stores: Stores, image_id: str) -> Image:
    return await stores.db.read(read_images.get_image, ImageId(image_id), "", admin=True)


async def url(stores: Stores, node: Node, image_id: str, use: Use = Use.READ, age: timedelta = timedelta()) -> str:
    key = (await stores.db.read(read_stores.keys))[0]
    permit = Permit(use, ImageId(image_id), "box1", stores.clock.now() + timedelta(minutes=1) - age)
    return signed_url(node.url, permit, key)


async def silent(stores: Stores, node: Node) -> None:
    """The node has not reported for longer than LOST."""

    def age(tx: sa.Connection) -> None:
        long_ago = stores.clock.now() - 2 * LOST
        (address,) = (one for one in read_stores.addresses(tx) if one.url == node.url)
        write_stores.put_address(tx, replace(address, seen_at=long_ago))

    await stores.db.write(age)


async def download(node: Node, image_id: str) -> httpx.Response:
    return await node.http.get(f"/image/v2/images/{image_id}/file")


async def test_an_active_image_is_in_two_stores(stores: Stores) -> None:
    a, b = stores.nodes
    image_id = await a.upload(DATA)
    assert [node.file(image_id).read_bytes() for node in (a, b)] == [DATA, DATA]
    assert await stores.copies(image_id) == {a.store.identity.store_id, b.store.identity.store_id}
    assert await b.status(image_id) == "active"


async def test_each_process_sends_what_only_another_store_has() -> None:
    async with running_stores(overrides={("image", "copies"): 1}) as stores:
        a, b = stores.nodes
        image_id = await a.upload(DATA)
        assert not b.file(image_id).exists()
        assert (await download(b, image_id)).content == DATA
        part = await b.http.get(f"/image/v2/images/{image_id}/file", headers={"Range": "bytes=1000000-1000099"})
        assert (part.status_code, part.content) == (206, DATA[1_000_000:1_000_100])


async def test_a_download_that_breaks_off_continues_at_another_store() -> None:
    async with running_stores(3) as stores:
        a, b, c = stores.nodes
        image_id = await a.upload(DATA)
        (empty,) = (node for node in stores.nodes if not node.file(image_id).exists())
        first, _second = (node for node in (a, b, c) if node is not empty)
        first.faults.cut_after = 1_500_000
        assert (await download(empty, image_id)).content == DATA


async def test_without_any_store_the_answer_is_503(stores: Stores) -> None:
    a, b = stores.nodes
    image_id = await a.upload(DATA)
    for node in (a, b):
        node.file(image_id).unlink()
    for node in (a, b):
        await node.upkeep.run()
    reply = await download(a, image_id)
    assert reply.status_code == 503
    assert "No image store has the bytes" in reply.json()["serviceUnavailable"]["message"]


async def test_the_death_of_the_receiver_after_active_loses_nothing(stores: Stores) -> None:
    a, b = stores.nodes
    image_id = await a.upload(DATA)
    a.faults.dead = True
    a.file(image_id).unlink()
    assert (await download(b, image_id)).content == DATA


async def test_the_upload_of_a_dead_process_is_given_up_and_another_ones_is_not(stores: Stores) -> None:
    a, b = stores.nodes
    body = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    lost, running = [(await a.http.post("/image/v2/images", json=body)).json()["id"] for _ in range(2)]
    long_ago = stores.clock.now() - 2 * LOST
    for image_id, uploader in ((lost, "a process of yesterday"), (running, b.store.uploader)):
        image = await record(stores, image_id)
        saving = replace(image, status=ImageStatus.SAVING, uploader=uploader, updated_at=long_ago)
        await stores.rpc.call(UPDATE_IMAGE, PutImage(saving, expected=image))
    await a.upkeep.run()
    assert await a.status(lost) == "saving"  # the other processes had no time to report yet
    a.upkeep.reporting_since = stores.clock.monotonic() - LOST.total_seconds()
    await a.upkeep.run()
    assert [await a.status(one) for one in (lost, running)] == ["queued", "saving"]


async def test_a_store_that_was_given_up_and_returns_serves_its_images_again(stores: Stores) -> None:
    a, b = stores.nodes
    shared, only_b = await a.upload(DATA), await b.upload(DATA[:4096])
    await stores.db.write(write_stores.delete_copy, ImageId(only_b), a.store.identity.store_id)
    a.file(only_b).unlink()
    gone = ForgetStore(b.store.identity.store_id)
    with pytest.raises(Conflict, match="is live"):
        await stores.rpc.call(FORGET_STORE, gone)
    b.faults.dead = True
    await silent(stores, b)
    status = await stores.rpc.call(READ_FLEET, ReadFleet())
    assert [(one.store_id, one.live, one.images, one.sole) for one in status.stores if not one.live] == [
        (gone.store_id, False, 2, 1)
    ]
    assert any(f"forget-store {gone.store_id}" in one and "1 of its 2 images" in one for one in status.problems)
    assert await stores.rpc.call(FORGET_STORE, gone) == StoreForgotten(images=2, sole=1)
    assert await stores.copies(shared) == {a.store.identity.store_id}
    with pytest.raises(NotFound, match="kilonova fleet status"):
        await stores.rpc.call(FORGET_STORE, gone)
    assert (await download(a, shared)).content == DATA
    assert (await download(a, only_b)).status_code >= 400
    b.faults.dead = False
    await b.upkeep.report()
    await b.upkeep.run()
    assert await stores.copies(only_b) == {gone.store_id}
    assert (await download(a, only_b)).content == DATA[:4096]


async def test_a_full_store_sends_the_upload_to_another() -> None:
    async with running_stores(3) as stores:
        a, b, c = stores.nodes
        a.full[0] = True
        await stores.report()
        image_id = await a.upload(DATA)
        assert [node.file(image_id).exists() for node in (a, b, c)] == [False, True, True]
        assert (await download(a, image_id)).content == DATA


async def test_when_all_stores_are_full_nothing_is_kept(stores: Stores) -> None:
    a, b = stores.nodes
    a.full[0] = b.full[0] = True
    await stores.report()
    image_id = await a.upload(DATA, status=503)
    assert await a.status(image_id) == "queued"
    assert not any(node.file(image_id).exists() for node in (a, b))


async def test_a_copy_that_finds_no_room_refuses_the_upload(stores: Stores) -> None:
    """The store has filled up since its report."""
    a, b = stores.nodes
    b.full[0] = True
    image_id = await a.upload(DATA, status=503)
    assert await a.status(image_id) == "queued"
    assert not a.file(image_id).exists()


async def test_a_store_that_does_not_answer_gets_its_copy_later(stores: Stores) -> None:
    a, b = stores.nodes
    b.faults.dead = True
    image_id = await a.upload(DATA)
    assert await stores.copies(image_id) == {a.store.identity.store_id}
    b.faults.dead = False
    await b.upkeep.run()
    assert b.file(image_id).read_bytes() == DATA
    assert len(await stores.copies(image_id)) == 2


@pytest.mark.parametrize("damage", ["missing", "short", "changed"])
async def test_a_lost_file_is_repaired_from_the_other_store(stores: Stores, damage: str) -> None:
    a, b = stores.nodes
    image_id = await a.upload(DATA)
    if damage == "missing":
        b.file(image_id).unlink()
    else:
        b.file(image_id).write_bytes(DATA[:-1] if damage == "short" else bytes(len(DATA)))
    b.upkeep.check_all()
    await b.upkeep.run()
    await b.upkeep.run()
    assert b.file(image_id).read_bytes() == DATA
    assert len(await stores.copies(image_id)) == 2


async def test_the_only_copy_is_not_removed(stores: Stores) -> None:
    a, b = stores.nodes
    b.faults.dead = True
    image_id = await a.upload(DATA)
    a.file(image_id).write_bytes(bytes(len(DATA)))
    a.upkeep.check_all()
    await a.upkeep.run()
    assert a.file(image_id).exists()


async def test_a_store_that_returns_removes_what_was_deleted_and_keeps_what_was_not(stores: Stores) -> None:
    a, b = stores.nodes
    gone, kept = await a.upload(DATA), await a.upload(DATA)
    assert (await a.http.delete(f"/image/v2/images/{gone}")).status_code == 204
    assert (a.file(gone).exists(), b.file(gone).exists()) == (False, True)
    foreign = b.root / "a note of the operator"
    foreign.touch()
    await b.upkeep.run()
    assert (b.file(gone).exists(), b.file(kept).exists(), foreign.exists()) == (False, True, True)


async def test_a_directory_that_is_not_mounted_is_not_taken_for_an_empty_store(stores: Stores) -> None:
    a, b = stores.nodes
    image_id = await a.upload(DATA)
    hidden = b.root.rename(b.root.with_name("hidden"))
    b.root.mkdir()
    with pytest.raises(Exception, match="is it mounted"):
        await b.upkeep.run()
    b.root.rmdir()
    hidden.rename(b.root)
    assert len(await stores.copies(image_id)) == 2


async def test_a_one_box_that_becomes_a_fleet_brings_its_files(stores: Stores) -> None:
    """Its files have no recorded copies."""
    a, b = stores.nodes
    body = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    image_id = (await a.http.post("/image/v2/images", json=body)).json()["id"]
    image = await record(stores, image_id)
    digest = hashlib.sha512(DATA).hexdigest()
    active = replace(image, status=ImageStatus.ACTIVE, size=len(DATA), virtual_size=len(DATA), os_hash_value=digest)
    await stores.rpc.call(UPDATE_IMAGE, PutImage(active, expected=image))
    a.file(image_id).write_bytes(DATA)
    for node in (a, b):
        await node.upkeep.run()
    assert b.file(image_id).read_bytes() == DATA


@pytest.mark.parametrize("change", ["expired", "altered", "other image", "other use", "no signature"])
async def test_a_url_that_is_not_valid_is_refused(stores: Stores, change: str) -> None:
    a, _ = stores.nodes
    image_id, other = await a.upload(DATA), await a.upload(DATA)
    good = await url(stores, a, image_id)
    bad = {
        "expired": await url(stores, a, image_id, age=timedelta(minutes=2)),
        "altered": good.replace("peer=box1", "peer=box2"),
        "other image": good.replace(image_id, other),
        "other use": await url(stores, a, image_id, Use.WRITE),
        "no signature": good.partition("?")[0],
    }[change]
    assert (await a.http.get(good)).content == DATA
    reply = await a.http.get(bad)
    assert reply.status_code == 403, reply.text
    assert "image store" in reply.json()["forbidden"]["message"]
    assert a.metrics.value("kilonova_refused_image_requests_total", reason="url") == 1


async def test_a_url_cannot_replace_the_bytes_of_a_complete_image(stores: Stores) -> None:
    a, _ = stores.nodes
    image_id = await a.upload(DATA)
    put = await a.http.put(await url(stores, a, image_id, Use.WRITE), content=bytes(1 << 20), headers=OCTETS)
    assert put.status_code == 409
    assert a.file(image_id).read_bytes() == DATA


async def test_an_upload_that_ends_too_late_changes_nothing(stores: Stores) -> None:
    """Two writers of one image: the slow one must not replace the file of the other."""
    a, _ = stores.nodes
    body = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    image_id = (await a.http.post("/image/v2/images", json=body)).json()["id"]
    image = await record(stores, image_id)
    saving = replace(image, status=ImageStatus.SAVING)
    await stores.rpc.call(UPDATE_IMAGE, PutImage(saving, expected=image))
    go_on = asyncio.Event()

    async def slow() -> AsyncGenerator[bytes]:
        yield bytes(1 << 20)
        await go_on.wait()

    late = asyncio.ensure_future(a.http.put(await url(stores, a, image_id, Use.WRITE), content=slow(), headers=OCTETS))
    target = await url(stores, a, image_id, Use.WRITE)

    async def begun() -> bool:
        return any(path.name.endswith(".part") for path in a.root.iterdir())

    await until(begun)
    saved = (await a.http.put(target, content=DATA, headers=OCTETS)).json()
    active = replace(saving, status=ImageStatus.ACTIVE, size=len(DATA), os_hash_value=saved["sha512"])
    await stores.rpc.call(UPDATE_IMAGE, PutImage(active, expected=saving, stores=tuple(saved["stores"])))
    go_on.set()
    assert (await late).status_code == 409
    assert a.file(image_id).read_bytes() == DATA
