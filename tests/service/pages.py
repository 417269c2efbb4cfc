# SPDX-License-Identifier: Apache-2.0
"""The event stream as an open page reads it, for tests."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import sqlalchemy as sa

from kilonova.api.http.microversion import MIN
from kilonova.api.ui.feed import EventFeed
from kilonova.db.schema import notifications
from tests.service.api import Api, beside, until


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    id: int
    name: str
    data: dict[str, Any]

    @property
    def type(self) -> str:
        return self.data.get("type", self.name)


class OpenPage:
    """A stream that is open.  `last` is the number of its last event, `comments` how many comments it had."""

    def __init__(self, reply: httpx.Response) -> None:
        self._lines = reply.aiter_lines()
        self.last = 0
        self.comments = 0

    async def next(self) -> Event:
        """The next event.  Raises StopAsyncIteration at the end of the stream."""
        fields: dict[str, str] = {}
        while line := await anext(self._lines):
            name, _, value = line.partition(": ")
            fields[name] = value
            if line == ":":
                await anext(self._lines)
                self.comments += 1
                fields = {}
        self.last = int(fields["id"])
        return Event(self.last, fields["event"], json.loads(fields["data"]))

    async def until(self, type: str) -> list[Event]:
        """The events to the first one of that type."""
        found = [await self.next()]
        while found[-1].type != type:
            found.append(await self.next())
        return found

    async def ended(self) -> list[Event]:
        """Read to the end."""
        found: list[Event] = []
        try:
            while True:
                found.append(await self.next())
        except StopAsyncIteration:
            return found


@asynccontextmanager
async def page(
    api: Api, address: tuple[str, int], last: int | str | None = None, query: str = ""
) -> AsyncGenerator[OpenPage]:
    """The stream of a page on a real connection, after its `ready` or `reset` unless it resumes."""
    headers = {"X-Auth-Token": api.token, **({} if last is None else {"Last-Event-ID": str(last)})}
    url = f"http://{address[0]}:{address[1]}/ui/events{query}"
    async with httpx.AsyncClient(timeout=30) as http, http.stream("GET", url, headers=headers) as reply:
        if reply.status_code != 200:
            await reply.aread()
        assert reply.status_code == 200, reply.text
        assert reply.headers["content-type"] == "text/event-stream"
        opened = OpenPage(reply)
        if last is None:
            assert (await opened.next()).name == "ready"
        yield opened


def handler_of(api: Api, *segments: str) -> Any:
    """The handler of a GET below /ui: a method of its part."""
    app: Any = api.cloud.box.app
    _, router = app._mounts[("ui",)]
    return router.find("GET", segments, MIN)[0].handler


def feed_of(api: Api) -> EventFeed:
    """The reader of a cloud's events."""
    return handler_of(api, "events").__self__.feed


async def streams(api: Api, count: int) -> None:
    """Wait until so many streams are open."""

    async def are_open() -> bool:
        return feed_of(api).count == count

    await until(are_open)


async def quiet_server(api: Api, image_id: str = "") -> str:
    """An active server, all of whose events have numbers; without an image, of one of its own."""
    server_id = await api.server(image_id or await api.image())
    await numbered(api)
    return server_id


async def numbered(api: Api) -> None:
    """Wait until each event has a number."""

    async def are_numbered() -> bool:
        with beside(api.cloud.state) as connection:
            return (
                connection.execute(sa.select(notifications.c.id).where(notifications.c.number.is_(None))).first()
                is None
            )

    await until(are_numbered)


async def lock(api: Api, server_id: str, times: int = 1) -> None:
    """As many changes of a server as one likes: each is one event."""
    for at in range(times):
        await api.act(server_id, {"unlock" if at % 2 else "lock": None}, 202)
