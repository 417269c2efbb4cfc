# SPDX-License-Identifier: Apache-2.0
"""The API as a client of a running cloud sees it, for tests."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import sqlalchemy as sa

from kilonova.db.location import sqlite_url
from kilonova.db.postgres import schema
from kilonova.db.postgres.url import parameters
from kilonova.db.readers import identity as read_identity
from kilonova.db.sqlite import make_engine
from kilonova.db.writers import identity as write_identity
from kilonova.identity.key_ring import OneKey
from kilonova.identity.tokens import Subject, TokenMinter
from kilonova.objects.identity import Assignment, Project, User
from kilonova.wiring.shared import token_secret
from tests import postgres
from tests.service.cloud import Cloud, running_cloud

T = TypeVar("T")

RAW = bytes(1 << 20)
"""The smallest image that is one."""

OCTETS = {"Content-Type": "application/octet-stream"}


@contextmanager
def beside(state: Path) -> Generator[sa.Connection]:
    """A transaction in the database of a running cloud, past its conductor."""
    url = postgres.url_of(state)
    if url is not None:
        with schema.connected(parameters(url)) as connection, schema.whole(connection):
            yield connection
        return
    engine = make_engine(sqlite_url(state / "kilonova.db"), readers=1)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.exec_driver_sql("COMMIT")
    finally:
        engine.dispose()


def _record(connection: sa.Connection, user: str, project: str, roles: tuple[str, ...]) -> None:
    if read_identity.find_project(connection, project_id=project) is None:
        write_identity.insert_project(connection, Project(project, project))
    if read_identity.find_user(connection, user_id=user) is None:
        write_identity.insert_user(connection, User(user, user, ""))
    for role in roles:
        write_identity.assign_role(connection, Assignment(user, project, role))


@dataclass(frozen=True)
class Api:
    """Calls with one token at one microversion.  Paths are below the services' roots."""

    cloud: Cloud
    token: str
    version: str = "2.90"

    def at(self, version: str) -> "Api":
        """The same caller at another microversion."""
        return replace(self, version=version)

    def as_(self, *roles: str, project: str = "p-other", user: str = "u-other") -> "Api":
        """Another caller: a token like Identity would give.  What it speaks of is recorded if it is not yet."""
        with beside(self.cloud.state) as connection:
            _record(connection, user, project, roles)
        minter = TokenMinter(OneKey(token_secret(self.cloud.state, self.cloud.clock)), self.cloud.clock, 3600)
        return replace(self, token=minter.mint(Subject(user, user, project, project, roles), ("password",))[0])

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers: Mapping[str, str] = {
            "X-Auth-Token": self.token,
            "OpenStack-API-Version": f"compute {self.version}",
            **more.pop("headers", {}),
        }
        return await self.cloud.http.request(method, path, headers=headers, **more)

    async def compute(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return await self.call(method, f"/compute/v2.1{path}", **({} if body is None else {"json": body}), **more)

    async def json(self, path: str) -> Any:
        """A GET of Compute that succeeds."""
        reply = await self.compute("GET", path)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def image(self, data: bytes = RAW, **fields: Any) -> str:
        """An active image."""
        body = {"name": "image", "disk_format": "raw", "container_format": "bare", **fields}
        made = await self.call("POST", "/image/v2/images", json=body)
        assert made.status_code == 201, made.text
        image_id = made.json()["id"]
        put = await self.call("PUT", f"/image/v2/images/{image_id}/file", content=data, headers=OCTETS)
        assert put.status_code == 204, put.text
        return image_id

    async def image_becomes(self, image_id: str, status: str) -> None:
        """Wait until the image has that status."""

        async def look() -> bool:
            return (await self.call("GET", f"/image/v2/images/{image_id}")).json()["status"] == status

        await until(look)

    async def create(self, image_id: str, **fields: Any) -> httpx.Response:
        """POST /servers."""
        server = {"name": "server", "imageRef": image_id, "flavorRef": "1", "networks": "auto", **fields}
        return await self.compute("POST", "/servers", {"server": server})

    async def server(self, image_id: str, **fields: Any) -> str:
        """A server that is ACTIVE."""
        reply = await self.create(image_id, **fields)
        assert reply.status_code == 202, reply.text
        server_id = reply.json()["server"]["id"]
        await self.until(server_id, "ACTIVE")
        return server_id

    async def act(self, server_id: str, action: Any, status: int | None = None) -> httpx.Response:
        """POST /servers/{server_id}/action, answered with `status` if that is given."""
        reply = await self.compute("POST", f"/servers/{server_id}/action", action)
        assert status in (None, reply.status_code), reply.text
        return reply

    async def names(self, path: str) -> list[str]:
        """The names in a list of Compute, in its order."""
        (entries,) = (value for key, value in (await self.json(path)).items() if not key.endswith("_links"))
        return [entry["name"] for entry in entries]

    async def until(self, server_id: str, status: str) -> dict[str, Any]:
        """The server once it has that status ("GONE": 404) and nothing goes on."""

        async def look() -> dict[str, Any] | None:
            reply = await self.compute("GET", f"/servers/{server_id}")
            server = reply.json().get("server", {"status": "GONE", "OS-EXT-STS:task_state": None})
            done = server["status"] == status and server["OS-EXT-STS:task_state"] is None
            return server if done else None

        found = await until(look)
        return {} if status == "GONE" else found


@asynccontextmanager
async def running_api(overrides: Mapping[tuple[str, str], Any] | None = None) -> AsyncGenerator[Api]:
    """The administrator's view of a cloud."""
    async with running_cloud(overrides) as cloud:
        yield Api(cloud, cloud.token)


async def until(look: Callable[[], Awaitable[T | None]]) -> T:
    """The first answer that is true."""
    async with asyncio.timeout(20):
        while not (found := await look()):  # noqa: ASYNC110 - nobody could set an event
            await asyncio.sleep(0.01)
    return found


def message(reply: httpx.Response, status: int, key: str) -> str:
    """The sentence of a fault, whose form is checked."""
    assert reply.status_code == status, reply.text
    fault = reply.json()[key]
    assert fault["code"] == status
    return fault["message"]
