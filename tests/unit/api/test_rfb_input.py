# SPDX-License-Identifier: Apache-2.0
"""A viewer's messages: complete or not passed on, and without input from those who may only look."""

import struct

import pytest

from kilonova.api.consoles.rfb_input import MOST_BYTES, ViewerInput
from kilonova.base.errors import InvalidInput

START = b"RFB 003.008\n\1\1"
LOOKING = {
    "pixel format": b"\0" + bytes(19),
    "encodings": struct.pack(">BxHiii", 2, 3, 0, 1, -239),
    "no encodings": struct.pack(">BxH", 2, 0),
    "update request": struct.pack(">BBHHHH", 3, 1, 0, 0, 64, 48),
    "continuous updates": struct.pack(">BBHHHH", 150, 1, 0, 0, 64, 48),
    "fence": struct.pack(">BxxxIB", 248, 1, 3) + b"abc",
}
INPUT = {
    "key": struct.pack(">BBxxI", 4, 1, 0xFF0D),
    "pointer": struct.pack(">BBHH", 5, 1, 10, 10),
    "clipboard": struct.pack(">BxxxI", 6, 5) + b"hello",
    "extended clipboard": struct.pack(">Bxxxi", 6, -4) + b"abcd",
    "key of QEMU": struct.pack(">BBHII", 255, 0, 1, 0xFF0D, 28),
    "audio on": struct.pack(">BBH", 255, 1, 0),
    "audio format": struct.pack(">BBHBBI", 255, 1, 2, 3, 2, 44100),
    "power": struct.pack(">BxBB", 250, 1, 2),
    "desktop size": struct.pack(">BxHHBx", 251, 800, 600, 2) + bytes(32),
}


@pytest.mark.parametrize("view_only", [False, True])
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_every_message_passes_whole_and_input_only_of_those_who_may(view_only: bool, step: int) -> None:
    viewer = ViewerInput(view_only=view_only)
    sent, wanted = bytearray(START), bytearray(START)
    for name, message in {**LOOKING, **INPUT, **LOOKING}.items():
        sent += message + message
        wanted += b"" if view_only and name in INPUT else message + message
    passed = b"".join(viewer.take(bytes(sent[at : at + step])) for at in range(0, len(sent), step))
    assert passed == wanted


def test_half_a_message_waits() -> None:
    viewer = ViewerInput(view_only=False)
    assert viewer.take(START) == START
    key = INPUT["key"]
    assert viewer.take(key[:-1]) == b""
    assert viewer.take(key[-1:]) == key


def test_a_viewer_that_wants_the_screen_for_itself_shares_it() -> None:
    assert ViewerInput(view_only=False).take(b"RFB 003.008\n\1\0") == START


def test_the_oldest_version_chooses_no_security_type() -> None:
    viewer = ViewerInput(view_only=True)
    assert viewer.take(b"RFB 003.003\n\0" + LOOKING["update request"] + INPUT["key"]) == (
        b"RFB 003.003\n\1" + LOOKING["update request"]
    )


@pytest.mark.parametrize(
    "wrong",
    [
        b"RFB 004.001\n",
        b"GET / HTTP/1",
        START + b"\x63",
        START + b"\xff\x09",
        START + struct.pack(">BxxxI", 6, MOST_BYTES),
        START + struct.pack(">Bxxxi", 6, -(1 << 31)),
    ],
)
def test_what_is_not_in_the_protocol_ends_it(wrong: bytes) -> None:
    viewer = ViewerInput(view_only=False)
    with pytest.raises(InvalidInput, match="The viewer s"):
        viewer.take(wrong)
