# SPDX-License-Identifier: Apache-2.0
"""Event streams of open pages: who may have one, when it ends, and what a bad client costs."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kilonova.api.http import server
from kilonova.api.ui import events, feed
from kilonova.base.errors import DatabaseUnavailable
from kilonova.base.tasks import Supervisor
from kilonova.config.ui import UiSettings
from kilonova.db.engine import Database
from tests.service.api import Api, message, running_api, until
from tests.service.pages import feed_of, lock, page, quiet_server, streams
from tests.service.people import as_user, grant, identity, member, user
from tests.service.test_api_http import wired

Address = tuple[str, int]
NAME = "<img src=x onerror=alert(1)>"


@pytest.fixture
async def address(api: Api) -> AsyncGenerator[Address]:
    async with wired(api) as found:
        yield found


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
        with reader.stream(feed.Viewer("u", None, whole=True, images=True), None) as stream:
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
