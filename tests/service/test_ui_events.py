# SPDX-License-Identifier: Apache-2.0
"""Events of open pages: each change once, in order, to those who may see it, and from one read for all."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.api.ui import changes, feed
from kilonova.api.ui.events import VERSION
from kilonova.db.schema import notifications, outbox
from kilonova.objects.ids import HostName
from kilonova.objects.notification import INFO, Notification, Numbered
from tests import make
from tests.service.api import Api, beside, message
from tests.service.pages import feed_of, lock, numbered, page, quiet_server, streams
from tests.service.people import member
from tests.service.test_api_http import wired

Address = tuple[str, int]
NAME = "<img src=x onerror=alert(1)>"


@pytest.fixture
async def address(api: Api) -> AsyncGenerator[Address]:
    async with wired(api) as found:
        yield found


async def test_a_change_reaches_the_page_in_order_and_with_what_the_page_shows(api: Api, address: Address) -> None:
    image = await api.image()
    await numbered(api)
    async with page(api, address) as opened:
        server_id = await api.server(image, name=NAME)
        await api.act(server_id, {"pause": None}, 202)
        seen = await opened.until("instance.pause.end")
        types = ["instance.create.start", "instance.create.end", "instance.pause.start", "instance.pause.end"]
        assert [one.type for one in seen] == types
        first = seen[0].id
        assert [one.id for one in seen] == [first, first + 1, first + 2, first + 3]
        assert {one.name for one in seen} == {"server"}
        assert {one.data["id"] for one in seen} == {server_id}
        begun, ended = seen[2].data, seen[3].data
        assert (begun["state"], begun["task_state"], begun["action"]) == ("active", "pausing", "pause")
        assert (ended["state"], ended["task_state"], ended["power_state"]) == ("paused", "", "paused")
        assert begun["request_id"] == ended["request_id"]
        assert begun["request_id"].startswith("req-")
        assert NAME not in str(seen)


async def test_a_page_that_comes_back_misses_nothing_and_receives_nothing_twice(api: Api, address: Address) -> None:
    server_id = await quiet_server(api)
    async with page(api, address) as opened:
        await lock(api, server_id)
        (seen,) = await opened.until("instance.lock")
    await streams(api, 0)
    await lock(api, server_id, 2)
    await api.act(server_id, {"pause": None}, 202)
    async with page(api, address, seen.id) as again:
        missed = await again.until("instance.pause.end")
    assert missed[0].name == "ready"
    assert [one.id for one in missed] == [seen.id, *range(seen.id + 1, seen.id + 5)]
    async with page(api, address, missed[-1].id) as again:
        assert (await again.next()).name == "ready"
        await lock(api, server_id)
        assert (await again.next()).id == missed[-1].id + 1


async def test_a_page_that_missed_more_than_is_kept_reads_everything_again(api: Api, address: Address) -> None:
    server_id = await quiet_server(api)
    async with page(api, address) as opened:
        last = opened.last
        await lock(api, server_id, 3)
        await opened.until("instance.lock")
        with beside(api.cloud.state) as connection:
            connection.execute(sa.update(outbox).values(numbered=outbox.c.numbered + 5000))
            connection.execute(sa.update(notifications).values(number=notifications.c.number + 5000))
        feed_of(api).look()
        reset = (await opened.until("reset"))[-1]
        assert reset.id > 5000
        await lock(api, server_id)
        assert (await opened.next()).id == reset.id + 1
    for missed in (last, reset.id + 1000):
        async with page(api, address, missed) as again:
            assert (await again.next()).name == "reset"


async def test_a_restored_database_is_a_gap(api: Api, address: Address) -> None:
    server_id = await quiet_server(api)
    async with page(api, address) as opened:
        await lock(api, server_id, 2)
        await opened.until("instance.unlock")
        with beside(api.cloud.state) as connection:
            connection.execute(sa.delete(notifications))
            connection.execute(sa.update(outbox).values(numbered=1, published=1))
        feed_of(api).look()
        assert ((await opened.next()).name, opened.last) == ("reset", 1)
        await lock(api, server_id)
        assert ((await opened.next()).type, opened.last) == ("instance.lock", 2)


async def test_no_event_of_another_project_is_seen(api: Api, address: Address) -> None:
    ann, _, _ = await member(api, "ann")
    other, _, _ = await member(api, "other", "reader")
    image = await api.image(visibility="public")
    await numbered(api)
    async with page(ann, address) as hers, page(other, address) as theirs, page(api, address) as own:
        begun = hers.last
        server_id = await ann.server(image)
        seen = await hers.until("instance.create.end")
        assert {one.data["id"] for one in seen} == {server_id}
        assert not any("host" in one.data for one in seen)
        mine = await api.server(image)
        of_admin = await own.until("instance.create.end")
        assert {one.data["id"] for one in of_admin} == {mine}
        assert of_admin[-1].data["host"] == "box1"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await theirs.next()
    async with page(ann, address, begun) as hers, page(other, address, begun) as theirs:
        assert (await hers.next()).name == (await theirs.next()).name == "ready"
        await lock(ann, server_id)
        assert {one.data["id"] for one in await hers.until("instance.lock")} == {server_id}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await theirs.next()


async def test_all_projects_are_an_administrators(api: Api, address: Address) -> None:
    ann, _, home = await member(api, "ann")
    image = await api.image(visibility="public")
    await numbered(api)
    refused = await ann.call("GET", "/ui/events?all_projects=1")
    assert "get_all_tenants" in message(refused, 403, "forbidden")
    async with page(api, address, query="?all_projects=1") as opened:
        hers, mine = await ann.server(image), await api.server(image)
        seen = [*await opened.until("instance.create.end"), *await opened.until("instance.create.end")]
        assert {(one.data["id"], one.data["host"] or "box1") for one in seen} == {(hers, "box1"), (mine, "box1")}
        assert home in {one.data["project_id"] for one in seen}
        api.cloud.box.manager.virtapi.on_error("compute.libvirt.error", {"ip": "192.0.2.1"})
        (lost,) = await opened.until("compute.libvirt.error")
        assert (lost.name, lost.data["id"]) == ("host", "box1")


async def test_events_of_an_image_are_for_those_who_may_see_it(api: Api, address: Address) -> None:
    ann, _, _ = await member(api, "ann")
    bob, _, theirs = await member(api, "bob")
    async with page(ann, address) as hers, page(bob, address) as his, page(api, address) as own:
        private = await ann.image(visibility="private", name=NAME)
        seen = await hers.until("image.activate")
        assert [one.type for one in seen] == ["image.create", "image.update", "image.activate"]
        assert {one.name for one in seen} == {"image"}
        assert [one.data.keys() for one in seen] == [{"type", "at", "id"}] * 3
        assert (await own.until("image.activate"))[-1].data["id"] == private  # administrators see every image
        shared = await ann.image(visibility="shared")
        await image_call(ann, "POST", f"{shared}/members", {"member": theirs}, 200)
        await image_call(ann, "DELETE", shared, None, 204)
        of_bob = [await his.next(), await his.next()]
        assert [(one.type, one.data["id"]) for one in of_bob] == [
            ("image.member.update", shared),
            ("image.delete", shared),
        ]
        public = await api.image(visibility="public")
        assert {one.data["id"] for one in await his.until("image.activate")} == {public}
        for path, value in (("visibility", "private"), ("name", "unseen"), ("visibility", "public")):
            await image_call(api, "PATCH", public, [{"op": "replace", "path": f"/{path}", "value": value}], 200)
        changed = [await his.next(), await his.next()]
        assert [(one.type, one.data["id"]) for one in changed] == [("image.update", public)] * 2
        assert changed[1].id == changed[0].id + 2
    async with page(bob, address, seen[0].id) as again:  # what was missed is under the same rule
        assert {one.data.get("id") for one in await again.until("image.activate")} == {None, shared, public}


async def image_call(api: Api, method: str, path: str, body: Any, status: int) -> None:
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"} if method == "PATCH" else {}
    reply = await api.call(method, f"/image/v2/images/{path}", json=body, headers=headers)
    assert reply.status_code == status, reply.text


def test_a_caller_without_images_sees_no_event_of_them() -> None:
    payload = {"id": "i", "owner": "p1", "status": "active", "visibility": "public", "visible_to": "*"}
    note = Notification(HostName(""), make.NOW, "image.update", INFO, payload)
    one = changes.change(Numbered(1, "id", note))
    for project in ("p1", "p2", None):
        for whole in (False, True):
            assert feed.Viewer("u", project, whole, images=True).may_see(one)
            assert not feed.Viewer("u", project, whole, images=False).may_see(one)
    of_p1 = changes.change(Numbered(1, "id", replace(note, payload={**payload, "visible_to": "p1 p3"})))
    assert [feed.Viewer("u", project, False, True).may_see(of_p1) for project in ("p1", "p2", "p3", None)] == [
        True,
        False,
        True,
        False,  # the right to see servers of all projects is no right to see their images
    ]


async def test_each_edit_of_a_server_is_one_event(api: Api, address: Address) -> None:
    server_id = await quiet_server(api)
    path = f"/servers/{server_id}"
    async with page(api, address) as opened:
        for method, below, body in (
            ("PUT", "", {"server": {"name": "new", "description": NAME}}),
            ("PUT", "", {"server": {"name": "new"}}),
            ("POST", "/metadata", {"metadata": {"role": "front"}}),
            ("PUT", "/tags", {"tags": ["blue"]}),
            ("PUT", "/tags", {"tags": ["blue"]}),
        ):
            assert (await api.compute(method, path + below, body)).status_code == 200
        await lock(api, server_id)
        seen = await opened.until("instance.lock")
    assert [one.type for one in seen] == ["instance.update"] * 3 + ["instance.lock"]
    assert {(one.name, one.data["id"], one.data["state"]) for one in seen} == {("server", server_id, "active")}
    assert NAME not in str(seen)


async def test_an_open_page_learns_the_version_that_is_served(api: Api) -> None:
    served = (await api.call("HEAD", "/ui/events")).headers[VERSION]
    assert f"/ui/static/{served}/app/main.js" in (await api.call("GET", "/ui/")).text


@contextmanager
def statements() -> Generator[list[str]]:
    """The statements of all connections from here on."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        found.append(" ".join(statement.split()))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


async def test_a_thousand_pages_cost_the_database_what_one_costs(api: Api) -> None:
    """Without connections: each page is a stream of the reader."""
    server_id = await quiet_server(api)
    reader, project_id = feed_of(api), (await api.json(f"/servers/{server_id}"))["server"]["tenant_id"]
    costs = list[int]()
    for pages in (1, 1000):
        with ExitStack() as stack:
            await reader.prepare("u", None)
            viewers = [feed.Viewer("u", project_id, whole=False, images=True)] * pages
            opened = [stack.enter_context(reader.stream(viewer, None)) for viewer in viewers]
            with statements() as found:
                await lock(api, server_id, 2)
                for stream in opened:
                    seen = b""
                    while b"instance.unlock" not in seen:
                        seen += await stream.next()
                costs.append(sum("outbox.numbered" in one or "notifications.number >" in one for one in found))
        assert reader.count == 0
    assert 0 < costs[1] <= 20


async def test_no_page_costs_the_database_nothing(api: Api, address: Address) -> None:
    async with page(api, address):
        pass
    await streams(api, 0)
    server_id = await quiet_server(api)
    feed_of(api).look()
    with statements() as found:
        await lock(api, server_id, 2)
        await asyncio.sleep(0.3)
    assert not [one for one in found if "notifications.number >" in one]
