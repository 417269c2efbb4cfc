# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 as it is on the wire: a real server on a real socket, spoken to byte by byte."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.service.api import RAW, Api, running_api


@dataclass
class Wire:
    """One connection.  `ask` sends bytes and reads one answer."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    token: str

    def request(self, method: str, path: str, *headers: str, body: bytes | None = None) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", "Host: box", f"X-Auth-Token: {self.token}", *headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + (body or b"")

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        assert "transfer-encoding" not in headers
        return int(head[0].split()[1]), headers, await self.reader.readexactly(int(headers.get("content-length", "0")))

    async def ask(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        self.writer.write(data)
        return await self.answer()


@asynccontextmanager
async def wired(api: Api) -> AsyncGenerator[tuple[str, int]]:
    """The API behind its real server."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = api.cloud.box.server()
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listening]))
            yield listening.getsockname()
            server.should_exit = True


@asynccontextmanager
async def connected(api: Api, address: tuple[str, int]) -> AsyncGenerator[Wire]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield Wire(reader, writer, api.token)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_one_connection_serves_whatever_comes() -> None:
    async def main() -> None:
        async with running_api() as api, wired(api) as address, connected(api, address) as wire:
            compute = "/compute/v2.1"
            # Answers of all kinds, refusals before the body was read among them: none may leave the connection astray.
            asked: list[tuple[bytes, int]] = [
                (wire.request("GET", f"{compute}/servers"), 200),
                (wire.request("POST", f"{compute}/os-keypairs", body=b'{"keypair": {"name": "k"}}'), 200),
                (wire.request("DELETE", f"{compute}/os-keypairs/k"), 202),
                (wire.request("POST", f"{compute}/nothing", body=b"x" * 50_000), 404),
                (wire.request("POST", f"{compute}/servers", body=b"x" * 3_000_000), 413),
                (wire.request("POST", f"{compute}/servers", body=b"{"), 400),
                (wire.request("DELETE", f"{compute}/servers/name"), 404),
                (wire.request("GET", "/healthz"), 200),
            ]
            for data, status in asked:
                code, headers, body = await wire.ask(data)
                assert code == status, (data[:60], body)
                assert ("content-length" in headers) == (status != 204)
            head, headers, _ = await _head(wire)
            assert (head, int(headers["content-length"]) > 0) == (200, True)
            assert (await wire.ask(wire.request("GET", "/healthz")))[0] == 200

    async def _head(wire: Wire) -> tuple[int, dict[str, str], bytes]:
        wire.writer.write(wire.request("HEAD", "/compute/v2.1"))
        lines = (await wire.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        return int(lines[0].split()[1]), dict(line.lower().split(": ", 1) for line in lines[1:] if line), b""

    await main()


async def test_a_body_without_end_is_refused_and_not_waited_for() -> None:
    async with running_api() as api, wired(api) as address, connected(api, address) as wire:
        wire.writer.write(wire.request("POST", "/compute/v2.1/servers", "Transfer-Encoding: chunked"))
        for _ in range(3):
            wire.writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        status, headers, _ = await wire.answer()
        assert (status, headers["connection"]) == (413, "close")


async def test_a_client_that_asks_first_is_refused_first() -> None:
    async with running_api() as api, wired(api) as address, connected(api, address) as wire:
        head = wire.request("POST", "/compute/v2.1/servers", "Expect: 100-continue", "Content-Length: 999999999")
        assert (await wire.ask(head))[0] == 413


async def test_an_upload_in_chunks_and_one_that_breaks_off() -> None:
    async with running_api() as api, wired(api) as address:
        body = {"name": "i", "disk_format": "raw", "container_format": "bare"}
        image_id = (await api.call("POST", "/image/v2/images", json=body)).json()["id"]
        path = f"/image/v2/images/{image_id}"
        headers = ("Content-Type: application/octet-stream", "Transfer-Encoding: chunked")
        chunk = b"100000\r\n" + RAW + b"\r\n"
        async with connected(api, address) as wire:
            wire.writer.write(wire.request("PUT", f"{path}/file", *headers) + chunk)
            await wire.writer.drain()
            await api.image_becomes(image_id, "saving")
            changed = await api.call(
                "PATCH", path, json=[], headers={"Content-Type": "application/openstack-images-v2.1-json-patch"}
            )
            assert changed.status_code == 409
        await api.image_becomes(image_id, "queued")
        assert list((api.cloud.state / "images").iterdir()) == []
        async with connected(api, address) as wire:
            status, _, _ = await wire.ask(wire.request("PUT", f"{path}/file", *headers) + chunk * 3 + b"0\r\n\r\n")
            assert status == 204
            status, found, data = await wire.ask(wire.request("GET", f"{path}/file"))
            assert (status, found["content-type"], data) == (200, "application/octet-stream", RAW * 3)
            assert (await wire.ask(wire.request("DELETE", path)))[0] == 204
            assert (await wire.ask(wire.request("GET", path)))[0] == 404
