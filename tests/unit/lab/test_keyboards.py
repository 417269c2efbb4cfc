# SPDX-License-Identifier: Apache-2.0
"""The page types what a Linux guest with the same layout reads: libxkbcommon, as in a guest, reads the keys."""

import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import kilonova
from lab.common import LabError
from lab.counting import cannot_run
from lab.keyboards import KEYS, LAYOUTS, OTHER_KEYS
from lab.vendor import node
from lab.xkb import Keyboard

TYPING = Path(kilonova.__file__).parent / "ui/static/app/views/console/typing.js"
CODES: Mapping[str, int] = {**KEYS, **OTHER_KEYS}
ASCII = "".join(map(chr, range(0x20, 0x7F))) + "\t\n"
ACCENTED = "".join(map(chr, range(0xA1, 0x250)))
NATIONAL = {
    "us": "",
    "gb": "£€",
    "de": "äöüßÄÖÜ§°€µ",
    "fr": "éèçàùâêîôûëïüÉÈ€§",
    "es": "ñÑ¿¡áéíóúüçº€",
    "it": "àèéìòù°€",
    "pt": "ãõçáàâêóº€",
    "br": "ãõçáàâêóº",
    "be": "éèçàù§€",
    "ch": "äöüéèà§",
    "ch-fr": "éèàäöüç§",
    "se": "åäöÅÄÖ§€",
    "no": "åæøÅÆØ§",
    "dk": "æøåÆØÅ§",
    "pl": "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ€",
    "cz": "ěščřžýáíéúůďťňĚŠČŘŽ§",
}
MOST_EVENTS = 12
"""A guest's keyboard keeps 16, with those of Caps Lock."""
PROGRAM = """
import { missing, portions, typed } from %s;
const answers = {};
for (const [layout, text] of Object.entries(JSON.parse(process.argv[1]))) {
  const absent = missing(text, layout);
  const whole = [...typed(text)].filter((each) => !absent.includes(each)).join("");
  answers[layout] = { absent, whole, portions: portions(whole, layout) };
}
console.log(JSON.stringify(answers));
"""


@cache
def answers() -> Mapping[str, Any]:
    """What the page makes of all characters that may be in a layout, and of accents on their own."""
    texts = {name: ASCII + NATIONAL[name] + ACCENTED + "e\u0301\u0301x漢\r\nA\rb" for name in LAYOUTS}
    program = PROGRAM % json.dumps(TYPING.as_uri())
    argv = [node(), "--input-type=module", "--eval", program, json.dumps(texts)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def keyboard(name: str) -> Keyboard:
    try:
        return Keyboard(*LAYOUTS[name])
    except LabError as error:
        cannot_run(error.sentence)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_guest_reads_what_is_typed_in_its_layout(name: str) -> None:
    found = answers()[name]
    assert set(ASCII + NATIONAL[name]).isdisjoint(found["absent"])
    assert {"漢", "\u0301"} <= set(found["absent"])
    assert found["whole"].endswith(("éx\nA\nb", "x\nA\nb"))
    portions = [[(CODES[each["code"]], each["down"]) for each in portion["strokes"]] for portion in found["portions"]]
    assert keyboard(name).typed(event for portion in portions for event in portion) == found["whole"]
    assert sum(portion["characters"] for portion in found["portions"]) == len(found["whole"])
    for portion in portions:
        assert len(portion) <= MOST_EVENTS
        assert sorted(code for code, down in portion if down) == sorted(code for code, down in portion if not down)
