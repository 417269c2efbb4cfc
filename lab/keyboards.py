# SPDX-License-Identifier: Apache-2.0
"""`python -m lab.keyboards` writes the layouts in which the page types into a guest.

They are those of the X keyboard data (xkeyboard-config, MIT).
A guest may have a keyboard without the key beside the left Shift, so what another key types is not typed with it.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.common import TOP, LabError
from lab.xkb import LEVEL3_SHIFT, Keyboard

TARGET = TOP / "src/kilonova/ui/static/app/views/console/layouts.js"

LAYOUTS: Mapping[str, tuple[str, str]] = {
    **{
        name: (name, "")
        for name in ("us", "gb", "de", "fr", "es", "it", "pt", "br", "be", "ch", "se", "no", "dk", "pl")
    },
    "cz": ("cz", ""),
    "ch-fr": ("ch", "fr"),
}
"""By the name that the page uses: layout and variant of X."""

KEYS: Mapping[str, int] = {
    "Backquote": 41,
    **{f"Digit{digit % 10}": digit + 1 for digit in range(1, 11)},
    "Minus": 12,
    "Equal": 13,
    **{f"Key{letter}": 16 + at for at, letter in enumerate("QWERTYUIOP")},
    "BracketLeft": 26,
    "BracketRight": 27,
    **{f"Key{letter}": 30 + at for at, letter in enumerate("ASDFGHJKL")},
    "Semicolon": 39,
    "Quote": 40,
    "Backslash": 43,
    "IntlBackslash": 86,
    **{f"Key{letter}": 44 + at for at, letter in enumerate("ZXCVBNM")},
    "Comma": 51,
    "Period": 52,
    "Slash": 53,
    "IntlRo": 89,
}
"""Keys that type characters, by their names in browsers (UI Events KeyboardEvent code), with the kernel's key codes."""
OTHER_KEYS: Mapping[str, int] = {"Enter": 28, "Tab": 15, "Space": 57, "ShiftLeft": 42, "AltRight": 100}
EXTRA_KEY = "IntlBackslash"
SHIFT, ALT_GR = OTHER_KEYS["ShiftLeft"], OTHER_KEYS["AltRight"]

HEAD = """\
// SPDX-License-Identifier: Apache-2.0
/**
 * What the keys of a keyboard type in each layout.  `python -m lab.keyboards` wrote it from the X keyboard data.
 */

/** Keys by their `KeyboardEvent.code`. */
export const KEYS = %s.split(" ");

/**
 * For each layout the characters of KEYS: alone, with Shift, with AltGr, with both.  A space is a key that types
 * nothing, and a combining character is a dead key.
 * @type {Record<string, string[]>}
 */
export const LAYOUTS = {
"""


def levels(layout: str, variant: str) -> Sequence[str]:
    """The characters of KEYS alone, with Shift, with AltGr, with both.  Raises LabError."""
    found: list[str] = []
    for held in ((), (SHIFT,), (ALT_GR,), (SHIFT, ALT_GR)):
        keyboard = Keyboard(layout, variant)
        if ALT_GR in held and keyboard.keysym(ALT_GR) != LEVEL3_SHIFT:
            break  # the key is a plain Alt
        for code in held:
            keyboard.key(code, down=True)
        found.append("".join(keyboard.character(code) or " " for code in KEYS.values()))
    return [_without(EXTRA_KEY, level, found[:2]).rstrip() for level in found]


def _without(key: str, level: str, plain: Sequence[str]) -> str:
    """A level without the character of a key that another key types without AltGr."""
    at = list(KEYS).index(key)
    elsewhere = "".join(each[:at] + each[at + 1 :] for each in plain)
    return f"{level[:at]} {level[at + 1 :]}" if level[at] in elsewhere else level


def module() -> str:
    """The text of the page's module.  Raises LabError."""
    lines = [HEAD % _quoted(" ".join(KEYS))]
    for name, (layout, variant) in LAYOUTS.items():
        texts = "".join(f"    {_quoted(text)},\n" for text in levels(layout, variant))
        lines.append(f"  {_quoted(name)}: [\n{texts}  ],\n")
    return "".join(lines) + "};\n"


def _quoted(text: str) -> str:
    """A string of JavaScript; combining characters are escaped, so that one can read them."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(f"\\u{ord(char):04x}" if "\u0300" <= char <= "\u036f" else char for char in escaped) + '"'


def main(target: Path = TARGET) -> int:
    """Write the module."""
    try:
        target.write_text(module())
    except LabError as error:
        print(error.sentence, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
