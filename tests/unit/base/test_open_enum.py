# SPDX-License-Identifier: Apache-2.0
"""Open enums: what a newer version has written is read, left alone, and written back as it was."""

import importlib
import json
import pkgutil
from dataclasses import dataclass
from enum import EnumType

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from kilonova import objects
from kilonova.base.open_enum import OpenIntEnum, OpenStrEnum, known


class Colour(OpenStrEnum):
    RED = "red"


class Size(OpenIntEnum):
    SMALL = 1


@dataclass(frozen=True)
class Thing:
    colour: Colour
    size: Size | None = None
    others: tuple[Colour, ...] = ()


FORM = TypeAdapter(Thing)


def test_an_unknown_member_goes_through_unchanged() -> None:
    text = '{"colour":"ultra-violet","size":9,"others":["red","infra-red"]}'
    thing = FORM.validate_json(text)
    assert FORM.dump_json(thing).decode() == text
    assert to_jsonable_python(thing, fallback=dict) == json.loads(text)
    assert (str(thing.colour), f"{thing.size}", thing.colour.name) == ("ultra-violet", "9", "UNKNOWN")


def test_an_unknown_member_is_none_of_the_known_ones() -> None:
    blue, nine = Colour("blue"), Size(9)
    assert (blue.is_known, nine.is_known, Colour.RED.is_known, Size.SMALL.is_known) == (False, False, True, True)
    assert blue not in tuple(Colour)
    assert {Colour.RED: 1}.get(blue) is None
    assert blue == Colour("blue")
    assert list(Colour) == [Colour.RED]


@pytest.mark.parametrize("text", ['""', '"two words"', f'"{"x" * 33}"', '"line\\nbreak"', "3", "null"])
def test_what_no_version_can_mean_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        FORM.validate_json(f'{{"colour":{text}}}')


@pytest.mark.parametrize("text", ["-1", "32768", "1.5", '"x"'])
def test_a_number_that_no_column_holds_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        FORM.validate_json(f'{{"colour":"red","size":{text}}}')


def test_users_cannot_send_an_unknown_member() -> None:
    assert known(Colour.RED) is Colour.RED
    with pytest.raises(ValueError, match="is not one of red"):
        known(Colour("blue"))


def test_every_enum_of_the_objects_is_open() -> None:
    """They cross the bus and are in the database; a closed one would make a whole query fail for one new value."""
    modules = [
        importlib.import_module(f"kilonova.objects.{one.name}") for one in pkgutil.iter_modules(objects.__path__)
    ]
    enums = {kind for module in modules for kind in vars(module).values() if isinstance(kind, EnumType)}
    assert {kind.__name__ for kind in enums if not issubclass(kind, OpenStrEnum | OpenIntEnum)} <= {"Unset"}
    assert len(enums) > 10
