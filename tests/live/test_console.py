# SPDX-License-Identifier: Apache-2.0
"""Typing into a real guest, by a websocket and by `kilonova console` on a terminal."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
import termios
import time

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.live.box import Box, wait_for

pytestmark = pytest.mark.live

SERIAL = {"remote_console": {"protocol": "serial", "type": "serial"}}


def console_url(box: Box, server_id: str) -> str:
    reply = box.http.post(f"/compute/v2.1/servers/{server_id}/remote-consoles", json=SERIAL)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["remote_console"]["url"])


def boot(box: Box, image_id: str, name: str) -> str:
    """A server whose shell waits for somebody to type."""
    server_id = box.create(image_id, name)
    box.wait_status(server_id, "ACTIVE")
    said = lambda: str(box.act(server_id, {"os-getConsoleOutput": {}}, 200)["output"])  # noqa: E731
    wait_for(lambda: "kilonova-guest: ready" in said(), within_s=90, why=said)
    return server_id


async def ask(console: ClientConnection, command: str, answer: bytes, within_s: float = 30) -> bytes:
    """Type until the answer comes: a shell that is not there yet hears nothing."""
    said = b""
    async with asyncio.timeout(within_s):
        while answer not in said:
            await console.send(command.encode() + b"\n")
            try:
                async with asyncio.timeout(2):
                    while answer not in said:
                        data = await console.recv()
                        assert isinstance(data, bytes)
                        said += data
            except TimeoutError:
                continue
    return said


async def rest(console: ClientConnection) -> None:
    try:
        while True:
            await console.recv()
    except ConnectionClosed:
        return


def test_type_read_take_over_and_the_guest_is_stopped(box: Box, image_id: str) -> None:
    server_id = boot(box, image_id, "typed")

    async def main() -> None:
        async with connect(console_url(box, server_id), subprotocols=["binary"]) as first:  # type: ignore[list-item]
            await ask(first, "echo answer-$((6 * 7))", b"answer-42")
            async with connect(console_url(box, server_id), subprotocols=["binary"]) as second:  # type: ignore[list-item]
                await asyncio.wait_for(rest(first), 20)
                assert "taken over" in (first.close_reason or "")
                await ask(second, "echo again-$((5 * 5))", b"again-25")
                box.act(server_id, {"reboot": {"type": "HARD"}})
                await asyncio.wait_for(rest(second), 60)
                assert "console has gone" in (second.close_reason or "")

    asyncio.run(main())
    box.wait_status(server_id, "ACTIVE")
    box.delete(server_id)
    assert "token=" not in box.log.read_text(errors="replace")


def test_a_guest_that_floods_a_reader_who_does_not_read_goes_on(box: Box, image_id: str) -> None:
    server_id = boot(box, image_id, "flooding")

    async def main() -> None:
        async with connect(console_url(box, server_id), subprotocols=["binary"], max_queue=1) as slow:  # type: ignore[list-item]
            await ask(slow, "echo answer-$((6 * 7))", b"answer-42")
            await slow.send(b"yes 0123456789012345678901234567890123456789 | head -c 300000; echo flood-$((3 * 3))\n")
            said = lambda: str(box.act(server_id, {"os-getConsoleOutput": {"length": 3}}, 200)["output"])  # noqa: E731
            await asyncio.to_thread(wait_for, lambda: "flood-9" in said(), within_s=90)
            await ask(slow, "echo answer-$((7 * 7))", b"answer-49", within_s=60)

    asyncio.run(main())
    box.delete(server_id)


class Terminal:
    """`kilonova console` on a terminal of its own."""

    def __init__(self, box: Box, *words: str) -> None:
        self.ours, theirs = pty.openpty()
        argv = [sys.executable, "-m", "kilonova", "console", *words, "--clouds-file", str(box.clouds)]
        self.before = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        self.theirs, self.said = theirs, b""
        os.set_blocking(self.ours, False)

    def hear(self, what: bytes, within_s: float = 30, again: bytes = b"") -> None:
        """Wait for `what`; what is typed `again` every two seconds meanwhile may come too early."""
        end, next_try = time.monotonic() + within_s, 0.0
        while what not in self.said:
            assert time.monotonic() < end, self.said[-2000:]
            if again and time.monotonic() >= next_try:
                next_try = time.monotonic() + 2
                os.write(self.ours, again)
            try:
                self.said += os.read(self.ours, 4096)
            except BlockingIOError:
                time.sleep(0.05)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)
        os.close(self.ours)
        os.close(self.theirs)


def test_the_command_on_a_terminal(box: Box, image_id: str) -> None:
    server_id = boot(box, image_id, "by hand (1)")
    terminal = Terminal(box, "by hand (1)")
    try:
        terminal.hear(b"Ctrl-] disconnects")
        terminal.hear(b"answer-42", again=b"echo answer-$((6 * 7))\r")
        assert termios.tcgetattr(terminal.theirs) != terminal.before  # raw
        os.write(terminal.ours, b"\x1d")
        assert terminal.process.wait(timeout=20) == 0
        assert termios.tcgetattr(terminal.theirs) == terminal.before
        terminal.hear(b"The console was closed.")
    finally:
        terminal.close()
    box.delete(server_id)


def test_the_command_for_a_server_that_is_not_there(box: Box) -> None:
    terminal = Terminal(box, "nobody")
    try:
        assert terminal.process.wait(timeout=20) == 1
        terminal.hear(b"kilonova: There is no server called nobody.")
    finally:
        terminal.close()
