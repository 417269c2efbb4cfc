# SPDX-License-Identifier: Apache-2.0
"""The messages of the previous release and today's: each side reads what the other writes.

tests/rolling/v1 was recorded from that release (see record.py) and never changes.
"""

import json
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from structlog.testing import capture_logs

from kilonova import CODE_VERSION
from kilonova.rpcapi.method import Method
from tests.rolling.forms import Comparison
from tests.rolling.record import MODULES, record

HERE = Path(__file__).parent
PREVIOUS = CODE_VERSION - 1

_EVACUATION = "An older host refuses the work with the reason, and the evacuation can be repeated."
NOT_READ_BY_THE_PREVIOUS = {
    "accept_action request.verb: evacuate is not read": "An older conductor refuses the request.",
    "accept_action request.params: none of the forms reads EvacuateRequest": "An older conductor refuses the request.",
    "fetch reply.items[].action.verb: evacuate is not read": _EVACUATION,
    "fetch reply.items[].action.params: none of the forms reads EvacuateParams": _EVACUATION,
    "fetch reply.items[].action.state: cancelled is not read": "Work that an older host has begun is not cancelled.",
}
"""What the previous release does not read of today's messages, and why that does no harm."""

MOVED = {"host_to_conductor_images": "host_to_conductor"}
"""Modules whose methods another module had in the previous release."""


def name_of(module: ModuleType) -> str:
    """The module's name in the previous release."""
    name = module.__name__.rpartition(".")[2]
    return MOVED.get(name, name)


NAMES = sorted({name_of(module) for module in MODULES})


@cache
def before(name: str) -> dict[str, Any]:
    path = HERE / f"v{PREVIOUS}" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {"methods": {}}


@cache
def today(name: str) -> dict[str, Any]:
    found = [record(module) for module in MODULES if name_of(module) == name]
    return {part: {key: value for one in found for key, value in one[part].items()} for part in found[0]}


def every_method() -> list[tuple[str, str]]:
    return [(name, method) for name in NAMES for method in before(name)["methods"]]


def declared(name: str) -> list[Method[Any, Any]]:
    modules = (module for module in MODULES if name_of(module) == name)
    return [one for module in modules for one in vars(module).values() if isinstance(one, Method)]


@pytest.mark.parametrize("name", NAMES)
def test_every_method_says_since_when_it_exists(name: str) -> None:
    """A caller sends a method only to conductors that have it: a wrong `since` breaks a rolling upgrade."""
    old = {(method, entry["subject"]) for method, entry in before(name)["methods"].items()}
    for method in declared(name):
        was_there = (method.name, method.subject) in old
        expected = "1" if was_there else f"2 to {CODE_VERSION}"
        assert (method.since == 1) == was_there, f"{method.name}: since must be {expected}, not {method.since}"
        assert method.since <= CODE_VERSION


@pytest.mark.parametrize(("name", "method"), every_method())
def test_a_method_of_the_previous_release_is_still_served(name: str, method: str) -> None:
    then, now = before(name)["methods"][method], today(name)["methods"].get(method)
    assert now is not None
    assert (now["subject"], now["kind"]) == (then["subject"], then["kind"])


@pytest.mark.parametrize("part", ["request", "reply"])
@pytest.mark.parametrize(("name", "method"), every_method())
def test_each_side_reads_what_the_other_writes(name: str, method: str, part: str) -> None:
    """A field without a default, a changed type, a value that the other side does not have: each is found here."""
    old, new = before(name), today(name)
    then, now = old["methods"][method][part], new["methods"][method][part]
    assert list(Comparison(new["reads"], old["writes"]).lacks(now["reads"], then["writes"])) == []
    lacks = set(Comparison(old["reads"], new["writes"]).lacks(then["reads"], now["writes"]))
    assert {lack for lack in lacks if f"{method} {part}{lack}" not in NOT_READ_BY_THE_PREVIOUS} == set()


@pytest.mark.parametrize("part", ["request", "reply"])
@pytest.mark.parametrize(("name", "method"), every_method())
def test_what_the_previous_release_wrote_is_read_completely(name: str, method: str, part: str) -> None:
    row = next(one for one in declared(name) if one.name == method)
    form = row.request_form if part == "request" else row.reply_form
    for sample in before(name)["methods"][method][part]["samples"]:
        with capture_logs() as said:  # an item that cannot be read is left out with a line in the log
            read = form.dump_python(form.validate_json(json.dumps(sample)), mode="json")
        assert said == []
        assert _only(read, sample) == sample


def _only(read: Any, like: Any) -> Any:
    """Without the fields that the sample does not have."""
    if isinstance(read, dict) and isinstance(like, dict):
        return {key: _only(value, like[key]) for key, value in read.items() if key in like}
    if isinstance(read, list) and isinstance(like, list) and len(read) == len(like):
        return [_only(one, other) for one, other in zip(read, like, strict=True)]
    return read


def schema(**fields: Any) -> dict[str, Any]:
    required = [name.rstrip("_") for name in fields if not name.endswith("_")]
    return {"type": "object", "properties": {k.rstrip("_"): v for k, v in fields.items()}, "required": required}


TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}


@pytest.mark.parametrize(
    ("reader", "written", "lack"),
    [
        (schema(a=TEXT), schema(a=TEXT, b=TEXT), []),  # an unknown field is ignored
        (schema(a=TEXT, b_=TEXT), schema(a=TEXT), []),  # a missing field has its default
        (schema(a=TEXT, b=TEXT), schema(a=TEXT), [".b: is required and is not always written"]),
        (schema(a=TEXT), schema(a_=TEXT), [".a: is required and is not always written"]),
        (schema(a=TEXT), schema(a=WHOLE), [".a: integer is not read as string"]),
        (schema(a=NUMBER), schema(a=WHOLE), []),
        (schema(a={"enum": ["x"]}), schema(a={"enum": ["x", "y"]}), [".a: y is not read"]),
        (schema(a={"enum": ["x"]}), schema(a=TEXT), [".a: only some values are read"]),
        (schema(a={"anyOf": [TEXT, WHOLE]}), schema(a={"anyOf": [WHOLE, TEXT]}), []),
        (schema(a=TEXT), schema(a={"anyOf": [TEXT, {"type": "null"}]}), [".a: null is not read as string"]),
        ({**schema(a_=TEXT), "additionalProperties": False}, schema(a=TEXT, b=TEXT), [": b is not read"]),
        (
            {"type": "array", "items": schema(a=TEXT)},
            {"type": "array", "items": schema(a=WHOLE)},
            ["[].a: integer is not read as string"],
        ),
        ({"type": "object", "additionalProperties": TEXT}, schema(a=WHOLE), [".*: integer is not read as string"]),
    ],
)
def test_the_comparison_finds_differences(reader: Any, written: Any, lack: list[str]) -> None:
    assert list(Comparison({}, {}).lacks(reader, written)) == lack


def test_a_recursive_form_is_compared_once() -> None:
    tree = {"Tree": schema(below_={"type": "array", "items": {"$ref": "#/$defs/Tree"}}, name=TEXT)}
    other = {"Tree": schema(below_={"type": "array", "items": {"$ref": "#/$defs/Tree"}}, name=WHOLE)}
    ref = {"$ref": "#/$defs/Tree"}
    assert list(Comparison(tree, tree).lacks(ref, ref)) == []
    assert list(Comparison(tree, other).lacks(ref, ref)) == [".name: integer is not read as string"]
