# SPDX-License-Identifier: Apache-2.0
"""Text that is pasted into a real guest, and the keys that its kernel receives: read by a shell on the serial port."""

import base64
import gzip
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress

from playwright.sync_api import Locator, expect
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from lab.keyboards import LAYOUTS
from lab.xkb import Keyboard
from tests.browser.people import Person
from tests.live.box import Box, wait_for

SERIAL = {"remote_console": {"protocol": "serial", "type": "serial"}}
KEYS = "/tmp/keys"
DEVICE = "/dev/input/$(cd /sys/class/input; grep -l 'keyboard' event*/device/name | head -n 1 | cut -d / -f 1)"
ONLY_KEYS = """awk '$9 == "0001" {print $10, $11}'"""
"""Of the records of 24 bytes, as words of 16 bits: the code and the value of events of keys."""
END = 88
"""F12: nothing that a test types has it."""
PRESSED, REPEATED = 1, 2
"""Values of an event of a key (Linux input protocol)."""

AT_ONCE_S = 0.05
"""The console sends the output of a guest in small pieces: they are read together."""

Event = tuple[int, bool]
"""A key code of the kernel, and whether the key went down."""

SHELL = """"$HOME" | sed 's/^~//; s#[{}]#\\&#g' > /tmp/x_1 && (true; false) || ls -l *.? @ % ! `id` = + , < :\n"""
JSON = """{"a": [1, 'x'], '~': "C:\\\\x|@"} ^ ` #!\n"""
TEXTS = {
    "us": ("English (US)", f"echo {SHELL}"),
    "gb": ("English (UK)", f"café £5 ¬ € {SHELL}"),
    "de": ("German", f"Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. ÄÖÜ € µ § {JSON}"),
    "fr": ("French", f"Dès Noël où un zéphyr haï me vêt de glaçons würmiens. ÈÊË € § {JSON}"),
    "es": ("Spanish", f"El pingüino Wenceslao hizo kilómetros bajo la lluvia; ¿añoraba? ÑÇ € {JSON}"),
}
"""For each layout its name on the page, and a text with what is hard to type."""


class Shell:
    """The shell on the serial console of a guest."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._count = 0
        self._said = ""
        wait_for(lambda: "here-42" in self._hear("echo here-$((6 * 7))\n", 2))

    def _hear(self, command: str, within_s: float) -> str:
        """All that was said, also before: what comes within this time, and what follows it at once."""
        if command:
            self._socket.send(command.encode())
        with suppress(TimeoutError):
            while True:
                data = self._socket.recv(timeout=within_s)
                assert isinstance(data, bytes)
                self._said += data.decode(errors="replace")
                within_s = AT_ONCE_S
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
        """Record the keys from now on: the device is open when this returns, though its reader may begin later."""
        self.run(f"kill $RECORDER 2>/dev/null; exec 3<{DEVICE} 4>{KEYS}; {{ cat <&3 >&4 & }}; RECORDER=$!")

    def survive_ctrl_alt_del(self) -> None:
        """The kernel no longer reboots at these keys; it sends a signal to a process that sleeps."""
        self.run("echo 0 >/proc/sys/kernel/ctrl-alt-del; { sleep 3600 & }; echo $! >/proc/sys/kernel/cad_pid")

    def events(self) -> Sequence[Event]:
        """The keys since `listen`, to the end key, which is waited for.  (A key that a slow guest repeats is one.)"""
        found: list[tuple[int, int]] = []

        def ended() -> bool:
            packed = self.run(f"od -An -v -tx2 -w24 {KEYS} | {ONLY_KEYS} | gzip -c | base64 -w0; echo")
            lines = gzip.decompress(base64.b64decode(packed.strip().splitlines()[-1])).decode().splitlines()
            found[:] = [(int(code, 16), int(value, 16)) for code, value in (line.split() for line in lines)]
            return (END, 0) in found

        wait_for(ended)
        return [(code, value == PRESSED) for code, value in found if code != END and value != REPEATED]


@contextmanager
def shell(box: Box, server_id: str) -> Generator[Shell]:
    """It takes the serial console over."""
    reply = box.http.post(f"/compute/v2.1/servers/{server_id}/remote-consoles", json=SERIAL)
    url = str(reply.json()["remote_console"]["url"])
    with connect(url, subprotocols=[Subprotocol("binary")], max_size=None) as socket:
        yield Shell(socket)


def open_screen(person: Person, server_id: str) -> Locator:
    """The screen of the guest, connected."""
    person.open(f"/servers/{server_id}/console?kind=vnc")
    expect(person.page.get_by_text("Connected")).to_be_visible()
    return person.page.get_by_role("application", name="Screen of the guest")


def paste(person: Person, text: str, layout: str) -> None:
    """Begin to type the text in a layout, by the name of the page."""
    person.button("Paste").click()
    person.page.get_by_role("textbox", name="Text").fill(text)
    person.page.get_by_label("Keyboard layout of the guest").select_option(layout)
    person.confirm("Type it")


def end(person: Person, screen: Locator) -> None:
    """The key after which the guest has everything."""
    screen.click()
    person.page.keyboard.press("F12")


def read(guest: Shell, layout: str) -> str:
    """The text that a guest with this layout has received, to the end key."""
    return Keyboard(*LAYOUTS[layout]).typed(guest.events())


def held(events: Sequence[Event]) -> set[int]:
    """The keys that are down at the end."""
    down: set[int] = set()
    for code, is_down in events:
        (down.add if is_down else down.discard)(code)
    return down
