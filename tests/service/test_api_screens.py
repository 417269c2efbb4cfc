# SPDX-License-Identifier: Apache-2.0
"""VNC consoles: their URLs, several viewers, and viewers that may only look."""

import asyncio
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from kilonova.objects.ids import InstanceId
from tests.rfb import RETURN, Viewer, colours
from tests.service.api import message
from tests.service.consoles import BINARY, VNC, ConsoleClient, desk, heard, until_closed


async def viewer(console: ClientConnection, **more: Any) -> Viewer:
    made = Viewer(console.recv, console.send)
    await made.connect(**more)
    return made


def keys_pressed(d: ConsoleClient) -> int:
    return d.hypervisor.guests[InstanceId(d.server_id)].pressed


async def test_what_one_viewer_types_all_viewers_see() -> None:
    async with desk() as d, await d.screen() as one, await d.screen() as two:
        typing, looking = await viewer(one), await viewer(two, shared=False)
        before = await looking.look()
        assert len(colours(before)) > 1
        await typing.press(RETURN)
        assert await looking.look(incremental=True) != before
        assert await typing.look() == await looking.look()
        d.hypervisor.crash(InstanceId(d.server_id))
        for console in (one, two):
            await until_closed(console)
            assert (console.close_code, console.close_reason) == (1000, "The guest is no longer running.")


async def test_the_input_of_a_viewer_that_may_only_look_reaches_nobody() -> None:
    async with desk() as d, await d.screen(view_only=True) as shown, await d.screen() as free:
        looking, typing = await viewer(shown), await viewer(free)
        before = await looking.look()
        await looking.press(RETURN)
        await looking.write(b"\5\1\0\1\0\1" + b"\6\0\0\0\0\0\0\3abc")  # pointer and clipboard
        assert await looking.look() == before  # an answer to what came after the keys
        assert keys_pressed(d) == 0
        await typing.press(RETURN)
        assert await looking.look(incremental=True) != before
        assert keys_pressed(d) == 1


async def test_a_serial_console_for_looking_only_takes_no_input() -> None:
    async with desk() as d, await connect(await d.url(view_only=True), subprotocols=BINARY) as console:
        await console.send(b"typed")
        d.hypervisor.guests[InstanceId(d.server_id)].say(b"said")
        assert await asyncio.wait_for(console.recv(), 20) == b"said"


async def test_bytes_that_are_no_rfb_end_the_session_in_words() -> None:
    for sent, why in ((b"GET / HTTP/1.1\r\n", "none of the versions"), (b"RFB 003.008\n\1\1\x63", "type 99")):
        async with desk() as d, await d.screen() as console:
            await console.send(sent)
            await until_closed(console)
            assert console.close_code == 1003
            assert why in (console.close_reason or "")


async def test_a_page_reads_why_its_console_was_refused() -> None:
    async with desk() as d:
        url, ours = await d.screen_url(), f"http://127.0.0.1:{d.port}"
        async with await connect(url, subprotocols=BINARY, origin=ours):  # pyright: ignore[reportArgumentType]
            pass
        async with await connect(url, subprotocols=BINARY, origin=ours) as again:  # pyright: ignore[reportArgumentType]
            await until_closed(again)
            assert again.close_code == 4401
            assert "was used" in (again.close_reason or "")
        early = await d.screen_url()
        assert (await d.api.act(d.server_id, {"os-stop": None})).status_code == 202
        await d.api.until(d.server_id, "SHUTOFF")
        async with await connect(early, subprotocols=BINARY, origin=ours) as off:  # pyright: ignore[reportArgumentType]
            await until_closed(off)
            assert (off.close_code, "not running" in (off.close_reason or "")) == (4409, True)
        assert (await d.refused(url, origin="http://evil.example")).response.status_code == 403


async def test_by_microversion_and_kind() -> None:
    async with desk() as d:
        path, action = f"/servers/{d.server_id}/remote-consoles", f"/servers/{d.server_id}/action"
        assert (await d.api.at("2.5").compute("POST", path, VNC)).status_code == 404
        old = await d.api.at("2.5").compute("POST", action, {"os-getVNCConsole": {"type": "novnc"}})
        assert old.json()["console"]["url"].startswith(f"http://box/ui/console/vnc/{d.server_id}?token=")
        assert old.json()["console"]["type"] == "novnc"
        said = await d.api.at("2.5").compute("POST", action, {"os-getVNCConsole": {"type": "xvpvnc"}})
        assert "type xvpvnc is not available" in message(said, 400, "badRequest")
        said = await d.api.at("2.6").compute("POST", action, {"os-getVNCConsole": {"type": "novnc"}})
        message(said, 400, "badRequest")


async def test_a_host_without_screens_says_so() -> None:
    async with desk({("vnc", "enabled"): False}) as d:
        said = await d.api.compute("POST", f"/servers/{d.server_id}/remote-consoles", VNC)
        assert "cannot show a guest's screen" in message(said, 501, "notImplemented")
        async with await d.open() as console:
            await console.send(b"serial")
            await heard(console, b"serial")


async def test_a_token_opens_one_kind_of_console() -> None:
    async with desk() as d:
        for url in ((await d.screen_url()).replace("/vnc/", "/serial/"), (await d.url()).replace("/serial/", "/vnc/")):
            assert (await d.refused(url)).response.status_code == 401
