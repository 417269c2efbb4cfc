# SPDX-License-Identifier: Apache-2.0
"""Which microversion a request gets, and what its answer says."""

import pytest

from kilonova.api.http.microversion import MAX, Negotiated, negotiate, v2
from kilonova.base.errors import InvalidInput, NotAcceptable


@pytest.mark.parametrize(
    ("header", "old_header", "version"),
    [
        (None, None, v2(1)),
        ("compute 2.9", None, v2(9)),
        ("compute 2.10", "2.3", v2(10)),
        (None, "2.3", v2(3)),
        ("identity 3.1, compute 2.53", None, v2(53)),
        ("volume 3.60", "2.4", v2(4)),
        ("Compute latest", None, MAX),
        (None, "latest", MAX),
        (" compute  2.7 ", None, v2(7)),
    ],
)
def test_what_is_asked_for_is_served(header: str | None, old_header: str | None, version: tuple[int, int]) -> None:
    found = negotiate(header, old_header)
    assert (found.version, found.text, found.problem) == (version, str(found.version), None)


@pytest.mark.parametrize("asked", ["2.0", "1.9", "2.91", "2.9999", "3.1"])
def test_what_is_not_served_is_said_with_the_range(asked: str) -> None:
    found = negotiate(f"compute {asked}", None)
    assert found.text == asked
    assert found.problem is not None
    kind, message = found.problem
    assert kind is NotAcceptable
    assert message == f"Version {asked} is not supported by the API. Minimum is 2.1 and maximum is {MAX}."


@pytest.mark.parametrize("asked", ["2", "2.x", "two", "2.01", "02.1", "2.1.1", "-2.1", "2.99999999999"])
def test_what_is_no_version_is_malformed(asked: str) -> None:
    found: Negotiated = negotiate(None, asked)
    assert found.problem is not None
    assert found.problem[0] is InvalidInput
    assert "MajorNum.MinorNum" in found.problem[1]


def test_nine_is_before_ten() -> None:
    assert v2(9) < v2(10) < v2(53)
