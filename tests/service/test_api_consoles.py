# SPDX-License-Identifier: Apache-2.0
"""Serial consoles: their URLs, and the websocket behind them."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from kilonova.api.http.wire import WEBSOCKET_MESSAGE_BYTES
from kilonova.cmd.console import session
from kilonova.objects.ids import InstanceId
from tests.service.api import message
from tests.service.consoles import BINARY, SERIAL, desk, heard, until_closed
from tests.service.people import as_user, identity, role_id, user


async def test_keys_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"date\n")
    async with desk() as d:
        screen = os.open(tmp_path / "screen", os.O_CREAT | os.O_WRONLY)
        for source in (tmp_path / "keys", Path(os.devnull)):
            keys = os.open(source, os.O_RDONLY)
            assert await session(await d.url(), keys, screen) == ""
            os.close(keys)
        os.close(screen)


async def test_what_is_typed_comes_back() -> None:
    async with desk() as d, await d.open() as console:
        assert console.subprotocol == "binary"
        await console.send(b"echo hello\n")
        await heard(console, b"echo hello\n")
        d.hypervisor.guests[InstanceId(d.server_id)].say(b"\xff\x00 not text")
        await heard(console, b"\xff\x00 not text")


async def test_a_token_opens_once_and_another_servers_console_never() -> None:
    async with desk() as d:
        url = await d.url()
        async with await connect(url, subprotocols=BINARY):
            assert (await d.refused(url)).response.status_code == 401
        other = (await d.url()).replace("/serial/", "/vnc/")
        for wrong in (url.partition("?")[0], url + "x", url.replace("/console/", "/other/"), other):
            assert (await d.refused(wrong)).response.status_code in (401, 404)


async def test_pages_of_other_places_are_refused() -> None:
    async with desk() as d:
        ours = f"http://127.0.0.1:{d.port}"
        for other in ("http://evil.example", f"https://127.0.0.1:{d.port}", "null", f"{ours}0"):
            refusal = await d.refused(await d.url(), origin=other)
            assert refusal.response.status_code == 403
            assert b"Only pages of this service" in (refusal.response.body or b"")
        async with await d.open(origin=ours):
            pass


async def test_pages_of_allowed_origins_open_consoles_as_horizon_does() -> None:
    allowed = {("console", "allowed_origins"): ["Horizon.example", "::1"]}
    async with desk(allowed) as d:
        for page in ("http://horizon.example", "http://horizon.example:8080", "http://[::1]:8080"):
            async with await d.open(origin=page):
                pass
        for other in (
            "https://horizon.example",
            "http://x.horizon.example",
            "http://horizon.example.evil",
            "http://[x",
        ):
            assert (await d.refused(await d.url(), origin=other)).response.status_code == 403


async def test_without_the_subprotocol_it_is_refused_and_text_ends_it() -> None:
    async with desk() as d:
        assert (await d.refused(await d.url(), subprotocols=None)).response.status_code == 400
        async with await d.open() as console:
            await console.send("text")
            await until_closed(console)
            assert console.close_code == 1003
        async with await d.open() as console:
            await console.send(b"x" * (WEBSOCKET_MESSAGE_BYTES + 1))
            await until_closed(console)
            assert console.close_code == 1009


async def test_the_second_session_takes_over_and_the_end_of_the_guest_ends_it() -> None:
    async with desk() as d, await d.open() as first, await d.open() as second:
        await until_closed(first)
        assert "taken over" in (first.close_reason or "")
        d.hypervisor.crash(InstanceId(d.server_id))
        await until_closed(second)
        assert (second.close_code, second.close_reason) == (1000, "The guest is no longer running.")


async def test_the_service_stops_under_an_open_console(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with desk() as d:
            console = await d.open()
            await console.send(b"x")
            await heard(console, b"x")
        await until_closed(console)
        assert console.close_code == 1012  # the service restarts

    await main()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_of_a_guest_that_is_off_there_is_none() -> None:
    async with desk() as d:
        early = await d.url()
        reply = await d.api.act(d.server_id, {"os-stop": None})
        assert reply.status_code == 202
        await d.api.until(d.server_id, "SHUTOFF")
        refused = await d.api.compute("POST", f"/servers/{d.server_id}/remote-consoles", SERIAL)
        assert "not running" in message(refused, 409, "conflictingRequest")
        late = await d.refused(early)
        assert late.response.status_code == 409
        assert b"not running" in (late.response.body or b"")


async def test_by_microversion_and_kind_and_owner() -> None:
    async with desk() as d:
        path = f"/servers/{d.server_id}/remote-consoles"
        assert (await d.api.at("2.5").compute("POST", path, SERIAL)).status_code == 404
        for protocol, kind in (
            ("vnc", "serial"),
            ("vnc", "xvpvnc"),
            ("spice", "spice-html5"),
            ("mks", "webmks"),
            ("serial", "novnc"),
        ):
            body = {"remote_console": {"protocol": protocol, "type": kind}}
            said = message(await d.api.compute("POST", path, body), 400, "badRequest")
            assert f"protocol {protocol} and type {kind} is not available" in said
        for body in ({}, {"remote_console": {"protocol": "serial"}}, {"remote_console": {**SERIAL, "x": 1}}):
            message(await d.api.compute("POST", path, body), 400, "badRequest")
        message(await d.api.as_("member").compute("POST", path, SERIAL), 404, "itemNotFound")
        message(await d.api.as_("reader").compute("POST", path, SERIAL), 403, "forbidden")

        action = f"/servers/{d.server_id}/action"
        old = await d.api.at("2.5").compute("POST", action, {"os-getSerialConsole": {"type": "serial"}})
        assert old.status_code == 200
        assert old.json()["console"]["type"] == "serial"
        assert old.json()["console"]["url"].startswith(f"ws://box/console/serial/{d.server_id}?token=")
        body = {"os-getSerialConsole": {"type": "serial"}}
        message(await d.api.at("2.6").compute("POST", action, body), 400, "badRequest")


async def test_a_token_stands_in_no_log(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    async def main() -> str:
        async with desk() as d:
            url = await d.url()
            async with await connect(url, subprotocols=BINARY) as console:
                await console.send(b"x")
                await heard(console, b"x")
            await d.refused(url)
            return url.partition("token=")[2]

    with caplog.at_level(logging.INFO):
        token = await main()
    assert token not in caplog.text
    assert "handshake" not in caplog.text
    out, err = capfd.readouterr()
    assert token not in out + err


async def test_a_session_and_an_unused_url_end_with_the_right_to_them() -> None:
    async with desk() as d:
        server = (await d.api.json(f"/servers/{d.server_id}"))["server"]
        ann_id = await user(d.api, "ann")
        role = f"/projects/{server['tenant_id']}/users/{ann_id}/roles/{await role_id(d.api, 'member')}"
        for change in (
            ("PATCH", f"/users/{ann_id}", {"user": {"password": "password of ann"}}),
            ("PATCH", f"/users/{ann_id}", {"user": {"enabled": False}}),
            ("DELETE", role, None),
            ("DELETE", f"/users/{ann_id}", None),
        ):
            if change[0] != "DELETE" or change[1] == role:
                await identity(d.api, "PATCH", f"/users/{ann_id}", {"user": {"enabled": True}})
            await identity(d.api, "PUT", role, status=204)
            theirs = replace(d, api=await as_user(d.api, "ann", server["tenant_id"]))
            unused = await theirs.url()
            async with await theirs.open() as console:
                await identity(d.api, *change, status=200 if change[0] == "PATCH" else 204)
                await until_closed(console)
                assert (console.close_code, "right" in (console.close_reason or "")) == (1008, True)
            assert (await theirs.refused(unused)).response.status_code in (401, 403)


async def test_a_session_goes_on_while_others_change() -> None:
    async with desk() as d, await d.open() as console:
        await identity(d.api, "PATCH", f"/users/{await user(d.api, 'ann')}", {"user": {"enabled": False}})
        await console.send(b"still here")
        await heard(console, b"still here")
