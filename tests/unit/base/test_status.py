# SPDX-License-Identifier: Apache-2.0
"""Health, the status port, and telling systemd."""

import asyncio
import socket
from pathlib import Path

import httpx
import pytest

from kilonova.base.clock import SystemClock
from kilonova.base.errors import ConfigError, RpcTimeout
from kilonova.base.health import Check, examine
from kilonova.base.metrics import Metrics
from kilonova.base.notify import SystemdNotifier
from kilonova.base.status import StatusPages, status_server


async def well() -> None: ...


async def ill() -> None:
    raise RpcTimeout("Nobody answers.")


async def broken() -> None:
    raise ValueError("secret")


async def hangs() -> None:
    await asyncio.Event().wait()


def test_each_check_has_a_reason_and_a_deadline_of_its_own() -> None:
    checks = [Check("a", well), Check("b", ill), Check("c", broken), Check("d", hangs, 0.05)]
    found = asyncio.run(examine(checks, SystemClock()))
    reasons = {name: verdict.reason for name, verdict in found.items()}
    assert reasons == {
        "a": None,
        "b": "Nobody answers.",
        "c": "the check failed: ValueError",
        "d": "no answer within 0.05 s",
    }


def pages(*checks: Check) -> StatusPages:
    async def text() -> bytes:
        return Metrics().text()

    return StatusPages(lambda: examine(checks, SystemClock()), text)


def test_the_pages_over_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "status"
    path.write_text("of a process that died")

    async def body() -> None:
        async with status_server(str(path), pages(Check("bus", well), Check("conductor", ill))):
            assert path.stat().st_mode & 0o777 == 0o600
            transport = httpx.AsyncHTTPTransport(uds=str(path))
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                health = await client.get("/healthz?x=1")
                assert health.status_code == 503
                assert health.json()["failing"] == ["conductor"]
                assert health.json()["checks"]["conductor"]["reason"] == "Nobody answers."
                assert (await client.get("/metrics")).headers["content-type"].startswith("text/plain")
                assert (await client.get("/other")).status_code == 404

    asyncio.run(body())


def test_who_speaks_no_http_is_hung_up_on(tmp_path: Path) -> None:
    async def body() -> None:
        async with status_server(str(tmp_path / "s"), pages(Check("bus", well))):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
            writer.write(b"nonsense\r\n\r\n")
            assert await reader.read() == b""
            writer.close()

    asyncio.run(body())


@pytest.mark.parametrize("listen", ["/no/such/directory/s", "127.0.0.1:port", "192.0.2.1:1"])
def test_a_port_that_cannot_be_is_one_sentence(listen: str) -> None:
    async def body() -> None:
        async with status_server(listen, pages()):
            pass

    with pytest.raises(ConfigError, match="cannot be opened"):
        asyncio.run(body())


def test_systemd_is_told_where_it_listens_and_nobody_elsewhere(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "n"))
        told = SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "3000000"})
        told.send("READY=1", "STATUS=serving")
        assert end.recv(100) == b"READY=1\nSTATUS=serving"
    assert told.watchdog_s == 3
    told.send("STOPPING=1")  # it has gone: no error
    silent = SystemdNotifier({"WATCHDOG_USEC": "3000000"})
    silent.send("READY=1")
    assert silent.watchdog_s == 0
