# SPDX-License-Identifier: Apache-2.0
"""The files of an image store compared with the records of images."""

from dataclasses import replace
from typing import Any

import pytest

from kilonova.api.image.verify import Look, Records, compared
from kilonova.images.store import Entry
from kilonova.objects.difference import KINDS, Part
from kilonova.objects.ids import ImageId
from kilonova.objects.image import Image, ImageStatus
from tests import make

ONE = ImageId("11111111-1111-4111-8111-111111111111")
IMAGE = Image(
    *(ONE, "one", ImageStatus.ACTIVE, "p1", "private", "raw", "bare", make.NOW, make.NOW),
    size=10,
    virtual_size=10,
    os_hash_value="hash",
)
FILE = Entry(ONE, 10, (1, 1), 3600.0)
PART = Entry(f".{ONE}.dead.1.part", 5, (2, 2), 3600.0)


def look(*entries: Entry, image: Image | None = IMAGE, store: str = "", **records: Any) -> Look:
    images = {} if image is None else {image.id: image}
    values = {"holders": {}, "in_the_making": frozenset(), "writers": frozenset(), "has_stores": bool(store)}
    return Look(entries, Records(images, **{**values, **records}), store, "me")


def codes(found: Look) -> list[str]:
    return [one.code for one, _ in compared(found)]


QUEUED = replace(IMAGE, status=ImageStatus.QUEUED, size=None, os_hash_value=None)
HELD = {ONE: frozenset({"s1"})}


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("image-missing", look()),
        ("image-size", look(replace(FILE, size=9))),
        ("image-unknown", look(FILE, image=None)),
        ("image-unknown", look(FILE, image=QUEUED)),
        ("upload-unfinished", look(FILE, PART)),
        ("image-without-copy", look(store="s1")),
        ("image-missing", look(store="s1", holders=HELD)),
    ],
)
def test_a_difference_has_its_code(code: str, found: Look) -> None:
    assert codes(found) == [code]


@pytest.mark.parametrize(
    "found",
    [
        look(FILE),
        look(FILE, Entry("orphans.json", 3, (3, 3), 9999.0)),
        look(FILE, replace(PART, age_s=5.0)),
        look(FILE, replace(PART, name=f".{ONE}.me.1.part")),
        look(FILE, replace(PART, name=f".{ONE}.api2.1.part"), writers=frozenset({"api2"})),
        look(replace(FILE, age_s=5.0), image=QUEUED),
        look(FILE, image=QUEUED, in_the_making=frozenset({ONE})),
        look(FILE, image=replace(QUEUED, status=ImageStatus.SAVING)),
        look(image=QUEUED),
        look(store="s2", holders=HELD),
    ],
)
def test_what_is_in_order_or_in_progress_is_no_difference(found: Look) -> None:
    assert codes(found) == []


def test_each_repair_removes_one_file() -> None:
    pairs = list(compared(look(FILE, PART, image=None)))
    assert [(one.code, entry) for one, entry in pairs] == [("upload-unfinished", PART), ("image-unknown", FILE)]
    assert all(KINDS[one.code].orphan for one, entry in pairs if entry is not None)
    assert {kind.code for kind in KINDS.values() if kind.part is Part.IMAGES} >= {one.code for one, _ in pairs}
