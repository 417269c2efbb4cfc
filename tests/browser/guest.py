# SPDX-License-Identifier: Apache-2.0
"""What a real guest receives from its keyboard: its kernel's input device, read by the shell on the serial console."""

import base64
import gzip
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.live.box import Box, wait_for

SERIAL = {"remote_console": {"protocol": "serial", "type": "serial"}}
KEYS = "/tmp/keys"
DEVICE = "/dev/input/$(cd /sys/class/input; grep -l 'keyboard' event*/device/name | head -n 1 | cut -d / -f 1)"
ONLY_KEYS = """awk '$9 == "0001" {print $10, $11}'"""
"""Of the records of 24 bytes, as words of 16 bits: the code and the value of events of keys."""
END = 88
"""F12: nothing that a test types has it."""

Event = tuple[int, bool]
"""A key code of the kernel, and whether the key went down."""


class Shell:
    """The shell on the serial console of a guest."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._count = 0
        self._said = ""
        wait_for(lambda: "here-42" in self._hear("echo here-$((6 * 7))\n", 2))

    def _hear(self, command: str, within_s: float) -> str:
        if command:
            self._socket.send(command.encode())
        try:
            data = self._socket.recv(timeout=within_s)
        except TimeoutError:
            return self._said
        assert isinstance(data, bytes)
        self._said += data.decode(errors="replace")
        return self._said

    def run(self, command: str) -> str:
        """What the command prints."""
        self._count += 1
        self._said = ""
        # The echo of the line that is typed has the sums, not their results.
        self._hear(f"echo begin-$((41 + {self._count})); {command}; echo end-$((41 + {self._count}))\n", 2)
        begin, end = f"begin-{41 + self._count}\r\n", f"end-{41 + self._count}\r\n"
        wait_for(lambda: end in self._hear("", 2), why=lambda: self._said[-500:])
        return self._said.partition(begin)[2].rpartition(end)[0].replace("\r\n", "\n")

    def listen(self) -> None:
        """Record the keys from now on."""
        self.run(f"kill $RECORDER 2>/dev/null; {{ cat {DEVICE} >{KEYS} & }}; RECORDER=$!")

    def survive_ctrl_alt_del(self) -> None:
        """The kernel no longer reboots at these keys; it sends a signal to a process that sleeps."""
        self.run("echo 0 >/proc/sys/kernel/ctrl-alt-del; { sleep 3600 & }; echo $! >/proc/sys/kernel/cad_pid")

    def events(self) -> Sequence[Event]:
        """The keys since `listen`, to the end key, which is waited for."""
        found: list[tuple[int, int]] = []

        def ended() -> bool:
            packed = self.run(f"od -An -v -tx2 -w24 {KEYS} | {ONLY_KEYS} | gzip -c | base64 -w0; echo")
            lines = gzip.decompress(base64.b64decode(packed.strip().splitlines()[-1])).decode().splitlines()
            found[:] = [(int(code, 16), int(value, 16)) for code, value in (line.split() for line in lines)]
            return (END, 0) in found

        wait_for(ended)
        return [(code, value == 1) for code, value in found if code != END]


@contextmanager
def shell(box: Box, server_id: str) -> Generator[Shell]:
    """It takes the serial console over."""
    reply = box.http.post(f"/compute/v2.1/servers/{server_id}/remote-consoles", json=SERIAL)
    url = str(reply.json()["remote_console"]["url"])
    with connect(url, subprotocols=[Subprotocol("binary")], max_size=None) as socket:
        yield Shell(socket)
