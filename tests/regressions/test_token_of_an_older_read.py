# SPDX-License-Identifier: Apache-2.0
"""A log-in read the user, waited for argon2, and got a token after the password had been changed (or the user disabled
and enabled again) meanwhile: the token counted, for it was issued after the change.  The same held for what else was
decided by an older read: a new password set with the old one, an application credential."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import httpx
import pytest

from kilonova.base.threads import DaemonWorkers
from kilonova.identity.passwords import Passwords
from tests.service.api import Api
from tests.service.people import as_user, by_password, identity, member

T = TypeVar("T")


class Gate:
    """Workers whose next answer is kept until `go` is set; `asked` is set when it is there."""

    def __init__(self) -> None:
        self._workers = DaemonWorkers("gate", 2)
        self.armed, self.asked, self.go = False, asyncio.Event(), asyncio.Event()

    async def run(self, fn: Callable[..., T], *args: Any) -> T:
        answer = await self._workers.run(fn, *args)
        if self.armed:
            self.armed = False
            self.asked.set()
            await self.go.wait()
        return answer

    def close(self) -> None:
        self._workers.close()

    async def drain(self) -> None:
        await self._workers.drain()


@asynccontextmanager
async def gated_while(api: Api, change: Callable[[], Awaitable[Any]]) -> Any:
    """In its body a request begins; the change comes after that has looked at a password."""
    app, gate = api.cloud.box.app, Gate()
    before = app.deps
    app.deps, gate.armed = replace(app.deps, passwords=Passwords(gate)), True
    began: list[asyncio.Task[httpx.Response]] = []
    yield began
    await gate.asked.wait()
    app.deps = before
    await change()
    gate.go.set()
    await asyncio.wait(began)


async def lives(api: Api, token: str) -> bool:
    return (await replace(api, token=token).compute("GET", "/servers")).status_code == 200


@pytest.mark.parametrize("how", ["by the user", "by an administrator", "disabled and enabled again"])
async def test_no_token_of_the_old_password_lives(api: Api, how: str) -> None:
    ann, ann_id, home = await member(api, "ann")

    async def change() -> None:
        if how == "by the user":
            words = {"password": "new", "original_password": "password of ann"}
            await identity(ann, "POST", f"/users/{ann_id}/password", {"user": words}, 204)
            return
        steps = [{"password": "new"}] if "admin" in how else [{"enabled": False}, {"enabled": True}]
        for fields in steps:
            await identity(api, "PATCH", f"/users/{ann_id}", {"user": fields})

    async with gated_while(api, change) as began:
        began.append(asyncio.ensure_future(by_password(api, "ann", home)))
    reply = began[0].result()
    assert reply.status_code == 401 or not await lives(api, reply.headers["X-Subject-Token"])
    assert not await lives(api, ann.token)
    password = "password of ann" if "disabled" in how else "new"
    assert await lives(api, (await as_user(api, "ann", home, password)).token)


async def test_the_old_password_sets_no_new_one_after_an_administrator_did(api: Api) -> None:
    ann, ann_id, home = await member(api, "ann")
    words = {"user": {"password": "thief", "original_password": "password of ann"}}

    async def change() -> None:
        await identity(api, "PATCH", f"/users/{ann_id}", {"user": {"password": "new"}})

    async with gated_while(api, change) as began:
        began.append(asyncio.ensure_future(ann.call("POST", f"/identity/v3/users/{ann_id}/password", json=words)))
    assert began[0].result().status_code == 401
    assert (await by_password(api, "ann", home, "thief")).status_code == 401
    await as_user(api, "ann", home, "new")


async def test_a_token_that_ended_meanwhile_makes_no_application_credential(api: Api) -> None:
    ann, ann_id, _ = await member(api, "ann")
    path = f"/identity/v3/users/{ann_id}/application_credentials"

    async def change() -> None:
        await identity(api, "PATCH", f"/users/{ann_id}", {"user": {"password": "new"}})

    async with gated_while(api, change) as began:
        asked = {"application_credential": {"name": "robot"}}
        began.append(asyncio.ensure_future(ann.call("POST", path, json=asked)))
    assert began[0].result().status_code == 401
    again = await as_user(api, "ann", None, "new")
    assert (await identity(again, "GET", path.removeprefix("/identity/v3")))["application_credentials"] == []
