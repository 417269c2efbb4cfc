# SPDX-License-Identifier: Apache-2.0
"""Keyboards as a Linux desktop has them: libxkbcommon with the X keyboard data.

The library and its data come with Chromium's package.  Key codes are those of the kernel (linux/input-event-codes.h).
"""

import ctypes
import unicodedata
from collections.abc import Iterable
from typing import Any

from lab.common import LabError

LIBRARY = "libxkbcommon.so.0"
LOCALE = b"en_US.UTF-8"
X_OFFSET = 8
"""A key code of X is that of the kernel plus this."""
DEAD_KEYS = {
    **dict(enumerate("\u0300\u0301\u0302\u0303\u0304", 0xFE50)),
    **dict(enumerate("\u0306\u0307\u0308\u030a\u030b\u030c\u0327\u0328", 0xFE55)),
    **dict(enumerate("\u0323\u0309\u031b", 0xFE60)),
}
"""Keysyms of dead keys (X11/keysymdef.h), and the combining characters that they add."""
LEVEL3_SHIFT = 0xFE03
COMPOSING, COMPOSED, CANCELLED = 1, 2, 3


class RuleNames(ctypes.Structure):
    """struct xkb_rule_names."""

    _fields_ = [(name, ctypes.c_char_p) for name in ("rules", "model", "layout", "variant", "options")]


def _library() -> Any:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        raise LabError("The keyboard library is not installed.", "apt-get install libxkbcommon0 xkb-data") from None
    for name in (
        "context_new",
        "keymap_new_from_names",
        "state_new",
        "compose_table_new_from_locale",
        "compose_state_new",
    ):
        getattr(library, f"xkb_{name}").restype = ctypes.c_void_p
    return library


class Keyboard:
    """One keyboard of a layout.  Raises LabError when the library or the layout is not there."""

    def __init__(self, layout: str, variant: str = "") -> None:
        self._xkb = xkb = _library()
        self._context = ctypes.c_void_p(xkb.xkb_context_new(0))
        names = RuleNames(b"evdev", b"pc105", layout.encode(), variant.encode(), b"")
        keymap = ctypes.c_void_p(xkb.xkb_keymap_new_from_names(self._context, ctypes.byref(names), 0))
        table = ctypes.c_void_p(xkb.xkb_compose_table_new_from_locale(self._context, LOCALE, 0))
        if not keymap or not table:
            raise LabError(f"The keyboard data has no layout {layout}.", "apt-get install xkb-data libx11-data")
        self._state = ctypes.c_void_p(xkb.xkb_state_new(keymap))
        self._compose = ctypes.c_void_p(xkb.xkb_compose_state_new(table, 0))

    def key(self, code: int, *, down: bool) -> None:
        """Press or release a key."""
        self._xkb.xkb_state_update_key(self._state, ctypes.c_uint32(code + X_OFFSET), int(down))

    def keysym(self, code: int) -> int:
        """What the key means now."""
        return int(self._xkb.xkb_state_key_get_one_sym(self._state, ctypes.c_uint32(code + X_OFFSET)))

    def character(self, code: int) -> str:
        """What the key types now: a dead key is its combining character; "" is nothing that can be seen."""
        keysym = self.keysym(code)
        found = DEAD_KEYS.get(keysym) or _character(self._xkb, keysym)
        return found if found and (found in DEAD_KEYS.values() or unicodedata.category(found)[0] not in "CZM") else ""

    def typed(self, events: Iterable[tuple[int, bool]]) -> str:
        """The text that an application receives from events (key code, whether down), dead keys composed."""
        text = ""
        for code, down in events:
            if down:
                text += self._composed(self.keysym(code))
            self.key(code, down=down)
        return text.replace("\r", "\n")

    def _composed(self, keysym: int) -> str:
        if not self._xkb.xkb_compose_state_feed(self._compose, keysym):
            return ""  # a modifier
        status = self._xkb.xkb_compose_state_get_status(self._compose)
        if status in (COMPOSING, CANCELLED):
            return "" if status == COMPOSING else "\ufffd"
        if status != COMPOSED:
            return _character(self._xkb, keysym)
        found = ctypes.create_string_buffer(64)
        self._xkb.xkb_compose_state_get_utf8(self._compose, found, len(found))
        return found.value.decode()


def _character(library: Any, keysym: int) -> str:
    return chr(library.xkb_keysym_to_utf32(ctypes.c_uint32(keysym))).replace("\0", "")
