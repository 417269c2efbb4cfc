# SPDX-License-Identifier: Apache-2.0
"""Events of open pages: each change once, in order, to those who may see it, and from one read for all."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.api.http import server
from kilonova.api.ui import events, feed
from kilonova.base.errors import DatabaseUnavailable
from kilonova.base.tasks import Supervisor
from kilonova.config.ui import UiSettings
from kilonova.db.engine import Database
from kilonova.db.schema import notifications, outbox
from tests.service.api import Api, beside, message, running_api, until
from tests.service.pages import feed_of, page, streams
from tests.service.people import as_user, grant, identity, member, user
from tests.service.test_api_http import wired

Address = tuple[str, int]
NAME = "<img src=x onerror=alert(1)>"


@pytest.fixture
async def address(api: Api) -> AsyncGenerator[Address]:
    async with wired(api) as found:
        yield found


async def quiet_server(api: Api) -> str:
    """An active server, all of whose events have numbers."""
    server_id = await api.server(await api.image())

    async def are_numbered() -> bool:
        with beside(api.cloud.state) as connection:
            return (
                connection.execute(sa.select(notifications.c.id).where(notifications.c.number.is_(None))).first()
                is None
            )

    await until(are_numbered)
    return server_id


async def lock(api: Api, server_id: str, times: int = 1) -> None:
    """As many changes of a server as one likes: each is one event."""
    for at in range(times):
        await api.act(server_id, {"unlock" if at % 2 else "lock": None}, 202)


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
    for one, last in ((ann, 0), (other, 0)):
        async with page(one, address, last) as again:
            events = [await again.next()]
            if one is ann:
                events += await again.until("instance.create.end")
            assert {event.data.get("id") for event in events} <= {None, server_id}


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


async def test_who_may_not_see_servers_has_no_stream(api: Api) -> None:
    await user(api, "bare")
    bare = await as_user(api, "bare")
    assert (await bare.call("GET", "/ui/events")).status_code == 403
    assert (await replace(api, token="junk").call("GET", "/ui/events")).status_code == 401
    assert (await api.cloud.http.get("/ui/events")).status_code == 401
    for last in ("-1", "x", "1" * 30, "１"):
        reply = await api.call("GET", "/ui/events", headers={"Last-Event-ID": last.encode()})
        assert "Last-Event-ID" in message(reply, 400, "badRequest")
    assert (await api.call("GET", "/ui/events?everything=1")).status_code == 400
    assert feed_of(api).count == 0
    head = await api.call("HEAD", "/ui/events")
    assert (head.status_code, feed_of(api).count) == (200, 0)


async def test_a_revoked_token_ends_its_stream_and_no_other(api: Api, address: Address) -> None:
    ann, _, home = await member(api, "ann")
    second = await as_user(api, "ann", home)
    async with page(ann, address) as opened, page(second, address) as other:
        revoked = await ann.call("DELETE", "/identity/v3/auth/tokens", headers={"X-Subject-Token": ann.token})
        assert revoked.status_code == 204
        assert await opened.ended() == []
        await ann.cloud.http.get("/healthz")
        await streams(api, 1)
        server_id = await second.server(await api.image(visibility="public"))
        assert (await other.until("instance.create.end"))[-1].data["id"] == server_id


async def test_a_token_that_expires_ends_its_stream(address: Address, api: Api) -> None:
    async with page(api, address) as opened:
        clock, later = api.cloud.clock, api.cloud.clock.now() + timedelta(hours=2)
        clock.now = lambda: later  # pyright: ignore[reportAttributeAccessIssue]
        api.cloud.box.app.deps.token_revalidation.forget()
        assert await opened.ended() == []


async def test_a_role_that_is_taken_ends_what_it_permitted(api: Api, address: Address) -> None:
    boss, boss_id, home = await member(api, "boss", "admin", "member")
    ann, _, hers = await member(api, "ann")
    async with page(boss, address, query="?all_projects=1") as opened, page(ann, address) as other:
        await grant(api, home, boss_id, "admin", "DELETE")
        assert await opened.ended() == []
        await identity(api, "PATCH", f"/projects/{hers}", {"project": {"enabled": False}})
        assert await other.ended() == []
    await streams(api, 0)


async def test_a_page_that_is_closed_leaves_nothing(api: Api, address: Address) -> None:
    before = len(asyncio.all_tasks())
    async with AsyncExitStack() as stack:
        for _ in range(20):
            await stack.enter_async_context(page(api, address))
        assert feed_of(api).count == 20
    await streams(api, 0)
    assert vars(feed_of(api))["_streams"] == {}

    async def as_before() -> bool:
        return len(asyncio.all_tasks()) <= before + 2

    await until(as_before)


async def test_streams_are_limited_for_a_user_and_for_the_process() -> None:
    limits = {("ui", "max_streams"): 3, ("ui", "max_streams_per_user"): 2}
    async with running_api(limits) as api, wired(api) as address:
        ann, _, _ = await member(api, "ann")
        async with AsyncExitStack() as stack:
            for one in (api, api):
                await stack.enter_async_context(page(one, address))
            refused = await api.call("GET", "/ui/events")
            assert "close some pages" in message(refused, 503, "serviceUnavailable")
            assert refused.headers["retry-after"]
            await stack.enter_async_context(page(ann, address))
            assert "max_streams" in message(await ann.call("GET", "/ui/events"), 503, "serviceUnavailable")
        await streams(api, 0)
        async with page(api, address):
            assert api.cloud.box.vitals.metrics.value("kilonova_event_streams") == 1


async def test_a_page_that_reads_nothing_is_disconnected_and_delays_no_other(
    api: Api, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "WAITING", 40)
    server_id = await quiet_server(api)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(address)
        slow.sendall(f"GET /ui/events HTTP/1.1\r\nHost: box\r\nX-Auth-Token: {api.token}\r\n\r\n".encode())
        await streams(api, 1)
        (stream,) = next(iter(vars(feed_of(api))["_streams"].values()))
        async with page(api, address) as quick:
            while not stream.cut:
                await lock(api, server_id, 2)
                assert (await quick.until("instance.unlock"))[-1].data["id"] == server_id
                for _ in range(400):  # as much as fits into the socket, without as many changes
                    stream.put(b":" * 4000)
                    await asyncio.sleep(0)
        assert not stream.unsent
    await streams(api, 0)


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


class AwayOrNot:
    """A database that is away while `away`."""

    def __init__(self, db: Database) -> None:
        self._db, self.away = db, False

    async def read(self, *given: Any) -> Any:
        if self.away:
            raise DatabaseUnavailable("The database is away.")
        return await self._db.read(*given)


async def test_a_database_that_is_away_opens_no_page_and_closes_none(api: Api) -> None:
    db: Any = AwayOrNot(api.cloud.box.app.deps.db)
    reader, server_id = feed.EventFeed(db, UiSettings(), 0.01), await quiet_server(api)
    async with Supervisor(api.cloud.clock) as tasks:
        tasks.spawn("events", reader.keep())
        await reader.prepare("u", None)
        with reader.stream(feed.Viewer("u", None, whole=True), None) as stream:
            assert b"event: ready" in await stream.next()
            db.away = True

            async def is_refused() -> bool:
                try:
                    await reader.prepare("v", None)
                except DatabaseUnavailable:
                    return True
                return False

            await until(is_refused)
            await lock(api, server_id)
            assert not stream.unsent
            db.away = False
            assert b"instance.lock" in await stream.next()
            await reader.prepare("v", None)


async def test_a_silent_stream_has_comments(api: Api, address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEP_ALIVE_S", 0.05)
    server_id = await quiet_server(api)
    async with page(api, address) as opened, asyncio.TaskGroup() as group:
        waiting = group.create_task(opened.next())

        async def has_comments() -> bool:
            return opened.comments > 1

        await until(has_comments)
        await lock(api, server_id)
        assert (await waiting).type == "instance.lock"


async def test_a_server_that_stops_does_not_wait_for_open_pages(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "GRACE_S", 3600)
    async with AsyncExitStack() as stack:
        async with wired(api) as address:
            opened = [await stack.enter_async_context(page(api, address)) for _ in range(3)]
        for one in opened:
            assert await one.ended() == []
    await streams(api, 0)
