# SPDX-License-Identifier: Apache-2.0
"""The screen of a real guest of the one box: text of its firmware and kernel, keys, restarts, and older guests."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from kilonova.virt.libvirt.xml.domain import has_screen
from tests.live.box import GUEST_IMAGE, Box, libvirt_box, private_libvirtd, virsh, wait_for
from tests.live.test_console import ask, boot, console_url, rest
from tests.rfb import Viewer, colours

pytestmark = pytest.mark.live

VNC = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
BINARY: Any = ["binary"]


def screen_url(box: Box, server_id: str, query: str = "") -> str:
    reply = box.http.post(f"/compute/v2.1/servers/{server_id}/remote-consoles{query}", json=VNC)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["remote_console"]["url"]).replace("http://", "ws://").replace("/ui/", "/")


async def opened(url: str) -> ClientConnection:
    return await connect(url, subprotocols=BINARY)


async def viewer(socket: ClientConnection) -> Viewer:
    made = Viewer(socket.recv, socket.send)
    await made.connect()
    return made


async def changed(shown: Viewer, before: bytes) -> bytes:
    async with asyncio.timeout(60):
        while (picture := await shown.look()) == before:
            continue
    return picture


def first_picture(box: Box, server_id: str) -> bytes:
    """What a new viewer sees: not a black screen."""

    async def main() -> bytes:
        async with await opened(screen_url(box, server_id)) as screen:
            shown = await viewer(screen)
            return await changed(shown, bytes(len(shown.picture)))

    return asyncio.run(main())


def test_a_picture_that_changes_when_the_guest_prints_and_when_keys_are_pressed(box: Box, image_id: str) -> None:
    server_id = boot(box, image_id, "shown")

    async def main() -> None:
        async with (
            await opened(screen_url(box, server_id)) as screen,
            await opened(screen_url(box, server_id, "?view_only=1")) as looking,
            await connect(console_url(box, server_id), subprotocols=BINARY) as serial,
        ):
            shown, only = await viewer(screen), await viewer(looking)
            booted = await shown.look()
            assert len(colours(booted)) > 1  # the guest has printed its name
            await ask(serial, "echo printed >/dev/tty0; echo done-$((1 + 1))", b"done-2")
            printed = await changed(shown, booted)
            await only.type("echo typed-$((6*7)) >/dev/ttyS0")  # nobody hears
            await shown.type("echo heard-$((6*7)) >/dev/ttyS0")
            await changed(shown, printed)
            said = await ask(serial, "", b"heard-42")
            assert b"typed-42" not in said
            box.act(server_id, {"os-stop": None})
            await asyncio.wait_for(rest(screen), 60)
            assert screen.close_reason == "The guest's screen has gone: the guest was stopped."

    asyncio.run(main())
    box.wait_status(server_id, "SHUTOFF")
    box.delete(server_id)
    assert "token=" not in box.log.read_text(errors="replace")


def test_after_a_restart_of_the_service_the_screen_of_a_running_guest_opens(box: Box, image_id: str) -> None:
    server_id = box.create(image_id, "kept")
    box.wait_status(server_id, "ACTIVE")
    box.kill()
    box.start().ready()
    first_picture(box, server_id)
    box.act(server_id, {"suspend": None})
    box.wait_status(server_id, "SUSPENDED")
    box.act(server_id, {"resume": None})
    box.wait_status(server_id, "ACTIVE")
    first_picture(box, server_id)
    box.act(server_id, {"rescue": {}}, 200)
    box.wait_status(server_id, "RESCUE")
    first_picture(box, server_id)
    box.act(server_id, {"unrescue": None})
    box.wait_status(server_id, "ACTIVE")
    box.delete(server_id)


def test_a_server_from_before_says_what_to_do_and_a_hard_reboot_gives_it_a_screen(tmp_path: Path) -> None:
    config = tmp_path / "before.conf"
    config.write_text("[vnc]\nenabled = false\n")
    with private_libvirtd() as daemon, libvirt_box(daemon, "--config-file", str(config)) as box:
        box.start().ready()
        server_id = box.create(box.upload(GUEST_IMAGE), "older")
        box.wait_status(server_id, "ACTIVE")
        domain = f"kilonova-{server_id}"
        assert not has_screen(virsh(daemon, "dumpxml", domain))
        said = box.http.post(f"/compute/v2.1/servers/{server_id}/remote-consoles", json=VNC)
        assert said.status_code == 501
        box.stop()
        config.write_text("")
        box.start().ready()
        assert not has_screen(virsh(daemon, "dumpxml", domain))  # it runs on, unchanged
        said = box.http.post(f"/compute/v2.1/servers/{server_id}/remote-consoles", json=VNC)
        assert said.status_code == 409
        assert "A hard reboot gives it one" in said.json()["conflictingRequest"]["message"]
        box.act(server_id, {"reboot": {"type": "HARD"}})
        wait_for(lambda: has_screen(virsh(daemon, "dumpxml", domain)), why=box.last_words)
        box.wait_status(server_id, "ACTIVE")
        first_picture(box, server_id)
        box.delete(server_id)
