# SPDX-License-Identifier: Apache-2.0
"""A server with consoles, behind the API on a real port."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kilonova.virt.fake import FakeDriver
from kilonova.virt.fake.machine import FakeHypervisor
from tests.service.api import Api, running_api

SERIAL = {"remote_console": {"protocol": "serial", "type": "serial"}}
VNC = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
BINARY: Any = ["binary"]


@dataclass
class ConsoleClient:
    """A server that runs, and the API on a real port."""

    api: Api
    server_id: str
    port: int

    async def url(self, body: Mapping[str, Any] = SERIAL, *, view_only: bool = False) -> str:
        path = f"/servers/{self.server_id}/remote-consoles{'?view_only=1' if view_only else ''}"
        headers = {"Host": f"127.0.0.1:{self.port}"}
        reply = await self.api.compute("POST", path, body, headers=headers)
        assert reply.status_code == 200, reply.text
        return reply.json()["remote_console"]["url"]

    async def open(self, **more: Any) -> ClientConnection:
        return await connect(await self.url(), **{"subprotocols": BINARY, **more})

    async def screen_url(self, *, view_only: bool = False) -> str:
        """The websocket of a screen, as the page makes it of its own URL."""
        url = await self.url(VNC, view_only=view_only)
        page = f"http://127.0.0.1:{self.port}/ui/console/vnc/{self.server_id}?token="
        assert url.startswith(page)
        return url.replace("http://", "ws://").replace("/ui/", "/")

    async def screen(self, *, view_only: bool = False, **more: Any) -> ClientConnection:
        return await connect(await self.screen_url(view_only=view_only), **{"subprotocols": BINARY, **more})

    @property
    def hypervisor(self) -> FakeHypervisor:
        driver = self.api.cloud.box.manager.driver
        assert isinstance(driver, FakeDriver)
        return driver.hypervisor

    async def refused(self, url: str, **more: Any) -> InvalidStatus:
        with pytest.raises(InvalidStatus) as refusal:
            await connect(url, **{"subprotocols": BINARY, **more})
        return refusal.value


@asynccontextmanager
async def desk(overrides: Mapping[tuple[str, str], Any] | None = None) -> AsyncGenerator[ConsoleClient]:
    async with running_api(overrides) as api:
        listener = socket.create_server(("127.0.0.1", 0))
        server = api.cloud.box.server()
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            yield ConsoleClient(api, await api.server(await api.image()), listener.getsockname()[1])
        finally:
            server.stop()
            await serving
            listener.close()


async def heard(console: ClientConnection, what: bytes) -> None:
    said = b""
    while what not in said:
        data = await console.recv()
        assert isinstance(data, bytes)
        said += data


async def until_closed(console: ClientConnection) -> None:
    try:
        while True:
            await console.recv()
    except ConnectionClosed:
        return
