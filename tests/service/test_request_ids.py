# SPDX-License-Identifier: Apache-2.0
"""An operator follows one request through all logs by its id, and finds no line of another request there."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from structlog.testing import capture_logs

from kilonova.base.context import REQUEST_ID
from kilonova.base.failpoints import Failpoints
from tests.service.api import Api
from tests.service.cloud import running_cloud

Line = dict[str, Any]


def _refuse() -> None:
    raise RuntimeError("failpoint")


@contextmanager
def log_lines() -> Generator[list[Line]]:
    """Every log line, with the request id under which it is written."""

    def bind(_logger: Any, _method: str, event: Any) -> Any:
        event.setdefault("request_id", REQUEST_ID.get())
        return event

    with capture_logs(processors=[bind]) as lines:
        yield lines  # type: ignore[misc]


async def _created(api: Api, image_id: str, number: int) -> tuple[str, str]:
    """The request id of a create, and the server's id."""
    reply = await api.create(image_id, name=f"server-{number}")
    assert reply.status_code == 202, reply.text
    return reply.headers["X-OpenStack-Request-Id"], reply.json()["server"]["id"]


async def _ended(api: Api, server_id: str) -> str:
    async with asyncio.timeout(20):
        while True:
            server = (await api.json(f"/servers/{server_id}"))["server"]
            if server["status"] != "BUILD" and server["OS-EXT-STS:task_state"] is None:
                return server["status"]
            await asyncio.sleep(0.02)


async def test_creates_are_followed_by_their_request_ids() -> None:
    """Six at once; the first of them that comes to its disks fails on the host."""
    failpoints = Failpoints({"compute.create.disks.begin": _refuse})
    async with running_cloud(failpoints=failpoints) as cloud:
        api = Api(cloud, cloud.token)
        image_id = await api.image()
        with log_lines() as lines:
            created = await asyncio.gather(*(_created(api, image_id, number) for number in range(6)))
            states = {server_id: await _ended(api, server_id) for _, server_id in created}
    assert sorted(states.values()) == ["ACTIVE"] * 5 + ["ERROR"]
    for request_id, server_id in created:
        mine = [line for line in lines if line["request_id"] == request_id]
        named = {line["instance"] for line in mine if "instance" in line}
        assert named == {server_id}, "a line of this request names another server"
        expected = {"request", "a host was chosen", "action ended"}
        failed = {"action failed"} if states[server_id] == "ERROR" else set[str]()
        assert sorted(line["event"] for line in mine) == sorted(expected | failed)
    ids = {request_id for request_id, _ in created}
    strays = [line for line in lines if line.get("instance") in states and line["request_id"] not in ids]
    assert strays == [], "a line about a server has no request id"
