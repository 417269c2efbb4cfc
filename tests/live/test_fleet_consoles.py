# SPDX-License-Identifier: Apache-2.0
"""Consoles of a fleet of real processes: through an API process, over the host's listener, into a real guest."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from lab.common import LabError
from lab.counting import cannot_run
from lab.demo import end_everything
from lab.fleet.fleet import Fleet, Plan
from tests.live.box import GUEST_IMAGE, CloudClient, wait_for
from tests.live.test_console import ask, rest
from tests.rfb import Viewer, colours

pytestmark = pytest.mark.live

SERIAL = {"remote_console": {"protocol": "serial", "type": "serial"}}
VNC = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
BINARY: Any = ["binary"]
SSH = f"{2222:04X}"


class Cloud:
    """A fleet with one real host, and clients of its API processes."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.apis = [CloudClient(port) for port in fleet.api_ports.values()]
        for api in self.apis:
            api.log_in(fleet.clouds)
        (self.host,) = fleet.hosts

    def console(self, api: CloudClient, server_id: str, body: Mapping[str, Any], code: int = 200) -> str:
        """The websocket of a new console, at that API process; the message of a refusal."""
        reply = api.http.post(f"/compute/v2.1/servers/{server_id}/remote-consoles", json=body, timeout=60)
        assert reply.status_code == code, reply.text
        if code != 200:
            return str(next(iter(reply.json().values()))["message"])
        url = str(reply.json()["remote_console"]["url"])
        _, _, path = url.replace("/ui/", "/").partition("/console/")
        return f"ws://127.0.0.1:{api.port}/console/{path}"

    def at(self, api: CloudClient, url: str) -> str:
        """The same console, through another API process: as a balancer may lead there."""
        _, _, path = url.partition("/console/")
        return f"ws://127.0.0.1:{api.port}/console/{path}"

    def listening(self) -> set[str]:
        """The TCP ports on which QEMU listens, in hexadecimal, except the one that leads to the guest's ssh."""
        assert self.host.libvirtd is not None
        inodes = {
            os.readlink(link).removeprefix("socket:[").removesuffix("]")
            for pid in self.host.libvirtd.guests().values()
            for link in Path(f"/proc/{pid}/fd").iterdir()
            if os.readlink(link).startswith("socket:")
        }
        rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
        found = {row[1].rpartition(":")[2] for row in rows if len(row) > 9 and row[3] == "0A" and row[9] in inodes}
        return found - {SSH}


@contextmanager
def running() -> Iterator[Cloud]:
    if os.geteuid() != 0:
        cannot_run("each libvirtd needs a host name of its own, which only root can give")
    if shutil.which("haproxy") is None or not GUEST_IMAGE.exists():
        cannot_run("haproxy or the guest image is not there: make setup")
    directory = Path(tempfile.mkdtemp(prefix="kn-f-", dir="/tmp"))
    fleet = Fleet(directory, Plan(apis=2, conductors=1, hosts=1))
    try:
        for start in (fleet.start_engines, fleet.start_control, fleet.start_hosts):
            start(lambda: None)
        cloud = Cloud(fleet)
        yield cloud
        for api in cloud.apis:
            api.http.close()
    except LabError as error:
        logs = "\n".join(f"== {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in fleet.logs.iterdir())
        pytest.fail(f"{error.sentence}\n{logs}")
    finally:
        fleet.close()
        end_everything(directory)


def booted(cloud: Cloud) -> str:
    api = cloud.apis[0]
    server_id = api.create(api.upload(GUEST_IMAGE), "shown")
    api.wait_status(server_id, "ACTIVE")
    said = lambda: str(api.act(server_id, {"os-getConsoleOutput": {}}, 200)["output"])  # noqa: E731
    wait_for(lambda: "kilonova-guest: ready" in said(), within_s=120, why=said)
    return server_id


async def opened(url: str) -> ClientConnection:
    return await connect(url, subprotocols=BINARY, open_timeout=60)


async def viewer(socket: ClientConnection) -> Viewer:
    made = Viewer(socket.recv, socket.send)
    await made.connect()
    return made


async def changed(shown: Viewer, before: bytes) -> None:
    """Until the picture is another."""
    async with asyncio.timeout(60):
        while await shown.look() == before:
            continue


async def refused(url: str) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refusal:
        await opened(url)
    return refusal.value.response.status_code, (refusal.value.response.body or b"").decode()


async def both_kinds(cloud: Cloud, server_id: str) -> None:
    one, two = cloud.apis
    url = cloud.console(one, server_id, SERIAL)
    async with await opened(cloud.at(two, url)) as serial:  # a token of one opens at the other
        await ask(serial, "echo answer-$((6 * 7))", b"answer-42")
        assert (await refused(url))[0] == 401  # and once
        urls = [cloud.console(api, server_id, VNC) for api in cloud.apis]
        async with await opened(urls[0]) as first, await opened(urls[1]) as second:
            viewers = [await viewer(first), await viewer(second)]
            before = await viewers[0].look()
            assert len(colours(before)) > 1
            await ask(serial, "for i in 1 2 3 4; do echo screen-$i >/dev/tty0; done; echo done-$((1 + 1))", b"done-2")
            for shown in viewers:
                await changed(shown, before)
            typed = await viewers[1].look()
            await viewers[0].press(ord("x"))
            await changed(viewers[1], typed)
    other = cloud.console(one, server_id, SERIAL).replace("/serial/", "/vnc/")
    assert (await refused(other))[0] == 401


async def an_api_process_dies(cloud: Cloud, server_id: str) -> None:
    one, two = cloud.apis
    unused = cloud.console(one, server_id, SERIAL)
    async with await opened(cloud.console(one, server_id, VNC)) as screen:
        await (await viewer(screen)).look()
        cloud.fleet.apis[0].kill()
        await asyncio.wait_for(rest(screen), 60)
    async with await opened(cloud.at(two, unused)) as serial:  # the host keeps the token
        await ask(serial, "echo again-$((5 * 5))", b"again-25")
    async with await opened(cloud.console(two, server_id, VNC)) as screen:
        assert len(colours(await (await viewer(screen)).look())) > 1
    await asyncio.to_thread(cloud.fleet.restart, cloud.fleet.apis[0])


async def the_host_goes_away(cloud: Cloud, server_id: str) -> None:
    api, process = cloud.apis[1], cloud.host.process
    early = cloud.console(api, server_id, SERIAL)
    os.kill(process.pid, signal.SIGSTOP)
    said = await asyncio.to_thread(cloud.console, api, server_id, VNC, 503)
    assert said.startswith("The console cannot be opened: the host of this server does not answer.")
    status, body = await refused(early)
    assert (status, "does not answer" in body) == (503, True)
    os.kill(process.pid, signal.SIGCONT)
    async with await opened(cloud.console(api, server_id, SERIAL)) as serial:
        await ask(serial, "echo thawed-$((2 * 2))", b"thawed-4")
        process.kill()
        await asyncio.wait_for(rest(serial), 60)
        assert serial.close_reason == "The connection to the guest's host was lost."
    assert cloud.host.libvirtd is not None
    assert len(cloud.host.libvirtd.guests()) == 1  # the guest runs on
    await asyncio.to_thread(cloud.fleet.restart, process)
    async with await opened(cloud.console(api, server_id, VNC)) as screen:
        assert len(colours(await (await viewer(screen)).look())) > 1


def test_serial_and_screen_through_each_api_process_and_the_loss_of_each_part() -> None:
    with running() as cloud:
        server_id = booted(cloud)
        assert cloud.listening() == set()
        asyncio.run(both_kinds(cloud, server_id))
        asyncio.run(an_api_process_dies(cloud, server_id))
        asyncio.run(the_host_goes_away(cloud, server_id))
        log = cloud.host.process.log.read_text()
        assert "access to a console was refused" in log
        logs = "".join(path.read_text(errors="replace") for path in cloud.fleet.logs.iterdir())
        assert "token=" not in logs
        assert "Traceback" not in logs
