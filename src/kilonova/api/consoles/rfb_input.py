# SPDX-License-Identifier: Apache-2.0
"""What a viewer sends to a guest's screen: the client's side of the RFB protocol, message by message.

Each message is complete before it is passed on, and unknown ones end the session, because their length is unknown.
Every viewer shares the screen, whatever it requests.  A viewer that may only look has its input dropped here: keys,
pointer, clipboard, power and size.

Sources: RFC 6143; the messages of QEMU and of the extensions are from "The RFB Protocol", community version.
"""

import struct
from collections.abc import Generator

from kilonova.base.errors import InvalidInput

VERSION_BYTES = 12
OLDEST = b"RFB 003.003\n"
"""With this version the server chooses the security type, and the client sends nothing for it."""
VERSIONS = (OLDEST, b"RFB 003.007\n", b"RFB 003.008\n")
SHARED = b"\x01"
MOST_BYTES = 1 << 20
"""The longest message: a clipboard text."""

SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, KEY, POINTER, CUT_TEXT = 0, 2, 3, 4, 5, 6
CONTINUOUS_UPDATES, FENCE, XVP, SET_DESKTOP_SIZE, QEMU = 150, 248, 250, 251, 255
EXTENDED_KEY, AUDIO = 0, 1
AUDIO_FORMAT = 2

VIEWING = frozenset({SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, CONTINUOUS_UPDATES, FENCE})
"""The messages of a viewer that may only look."""

_LENGTHS = {SET_PIXEL_FORMAT: 20, UPDATE_REQUEST: 10, KEY: 8, POINTER: 6, CONTINUOUS_UPDATES: 10, XVP: 4}
_COUNTED = {
    SET_ENCODINGS: (4, ">H", 2, 4),
    CUT_TEXT: (8, ">i", 4, 1),
    FENCE: (9, ">B", 8, 1),
    SET_DESKTOP_SIZE: (8, ">B", 6, 16),
}
"""Messages with a number of items: the bytes before the items, the form and place of the number, the bytes of one."""


class ViewerInput:
    """The bytes of one viewer.  A message may come in any number of pieces."""

    def __init__(self, *, view_only: bool) -> None:
        self._view_only = view_only
        self._waiting = bytearray()
        self._steps = self._parts()
        self._need = next(self._steps)
        self._passed = bytearray()

    def take(self, data: bytes) -> bytes:
        """The bytes for the guest.  Raises InvalidInput for a message that is not in the protocol."""
        self._waiting += data
        at = 0
        while len(self._waiting) - at >= self._need:
            end = at + self._need
            self._need = self._steps.send(bytes(self._waiting[at:end]))
            at = end
        del self._waiting[:at]
        passed, self._passed = bytes(self._passed), bytearray()
        return passed

    def _parts(self) -> Generator[int, bytes, None]:
        """Yields the number of bytes that it needs next."""
        version = yield VERSION_BYTES
        if version not in VERSIONS:
            raise InvalidInput("The viewer speaks none of the versions 3.3, 3.7 and 3.8 of RFB.")
        self._passed += version
        if version != OLDEST:
            security = yield 1
            self._passed += security
        yield 1
        self._passed += SHARED
        while True:
            message = yield 1
            kind = message[0]
            while len(message) < (length := _length(message)):
                if length > MOST_BYTES:
                    raise InvalidInput(f"The viewer sent a message of {length} bytes.")
                message += yield length - len(message)
            if kind in VIEWING or not self._view_only:
                self._passed += message


def _length(message: bytes) -> int:
    """The length of the message that begins so, or a smaller one from which it can be known.  Raises InvalidInput."""
    kind = message[0]
    if kind in _LENGTHS:
        return _LENGTHS[kind]
    if kind == QEMU:
        return _length_of_qemu(message)
    if kind not in _COUNTED:
        raise InvalidInput(f"The viewer sent a message of type {kind}, which is not supported.")
    head, form, at, unit = _COUNTED[kind]
    if len(message) < head:
        return head
    return head + unit * abs(struct.unpack_from(form, message, at)[0])  # the extended clipboard's is negative


def _length_of_qemu(message: bytes) -> int:
    if len(message) < 2:
        return 2
    if message[1] == EXTENDED_KEY:
        return 12
    if message[1] != AUDIO:
        raise InvalidInput(f"The viewer sent QEMU's message of type {message[1]}, which is not supported.")
    if len(message) < 4:
        return 4
    return 10 if struct.unpack_from(">H", message, 2)[0] == AUDIO_FORMAT else 4
