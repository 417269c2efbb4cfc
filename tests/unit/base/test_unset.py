# SPDX-License-Identifier: Apache-2.0
"""A field that is not given is absent from the wire form, and is not a field that is null."""

from dataclasses import dataclass

import pytest
from pydantic import TypeAdapter, ValidationError

from kilonova.base.unset import UNSET, OrUnset, given, unset_if_none


@dataclass(frozen=True, slots=True)
class Update:
    id: str
    name: OrUnset[str] = UNSET
    text: OrUnset[str | None] = UNSET


FORM = TypeAdapter(Update)


@pytest.mark.parametrize(
    ("update", "wire", "values"),
    [
        (Update("a"), b'{"id":"a"}', {}),
        (Update("a", name="b"), b'{"id":"a","name":"b"}', {"name": "b"}),
        (Update("a", text=None), b'{"id":"a","text":null}', {"text": None}),
        (Update("a", name="unset", text=""), b'{"id":"a","name":"unset","text":""}', {"name": "unset", "text": ""}),
    ],
)
def test_only_the_fields_that_are_given_cross_the_wire(update: Update, wire: bytes, values: dict[str, object]) -> None:
    assert FORM.dump_json(update) == wire
    assert FORM.validate_json(wire) == update
    assert given(update) == values


def test_null_is_refused_where_a_field_may_only_be_absent() -> None:
    with pytest.raises(ValidationError):
        FORM.validate_json(b'{"id":"a","name":null}')


def test_unset_is_false_and_reads_as_its_name() -> None:
    assert not UNSET
    assert repr(UNSET) == "UNSET"


def test_null_that_means_no_change_becomes_unset() -> None:
    assert unset_if_none(None) is UNSET
    assert unset_if_none(False) is False
