# SPDX-License-Identifier: Apache-2.0
"""Events of open pages: each change once, in order, to those who may see it, and from one read for all."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.api.ui import feed
from kilonova.db.schema import notifications, outbox
from tests.service.api import Api, beside, message
from tests.service.pages import feed_of, lock, page, quiet_server, streams
from tests.service.people import member
from tests.service.test_api_http import wired

Address = tuple[str, int]
NAME = "<img src=x onerror=alert(1)>"


@pytest.fixture
async def address(api: Api) -> AsyncGenerator[Address]:
    async with wired(api) as found:
        yield found


async def test_a_change_reaches_the_page_in_order_and_with_what_the_page_shows(api: Api, address: Address) -> None:
    async with page(api, address) as opened:
        server_id = await api.server(await api.image(), name=NAME)
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
    async with page(ann, address) as hers, page(other, address) as theirs, page(api, address) as own:
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
    async with page(ann, address, 0) as hers, page(other, address, 0) as theirs:
        assert (await hers.next()).name == (await theirs.next()).name == "ready"
        await lock(ann, server_id)
        assert {one.data["id"] for one in await hers.until("instance.lock")} == {server_id}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await theirs.next()


async def test_all_projects_are_an_administrators(api: Api, address: Address) -> None:
    ann, _, home = await member(api, "ann")
    image = await api.image(visibility="public")
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
            viewers = [feed.Viewer("u", project_id, whole=False)] * pages
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
