# SPDX-License-Identifier: Apache-2.0
"""The query string, read by type."""

from datetime import UTC, datetime

import pytest

from kilonova.api.http.query import Page, Query
from kilonova.base.errors import InvalidInput


def test_values_by_type() -> None:
    query = Query(b"a=1&a=2&flag=Yes&off=0&at=2026-01-02T03:04:05Z&empty=&name=a%20b%C3%A4")
    assert query.text("a") == "2"
    assert query.all("a") == ["1", "2"]
    assert query.integer("a") == 2
    assert query.boolean("flag") is True
    assert query.boolean("off") is False
    assert query.boolean("none") is None
    assert query.time("at") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert query.text("empty") == ""
    assert query.text("name") == "a bä"
    assert list(query.names()) == ["a", "flag", "off", "at", "empty", "name"]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.5Z", datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC)),
        ("2026-01-02T03:04:05%2B01:00", datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+01:00", datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_times_with_and_without_a_zone(text: str, at: datetime) -> None:
    assert Query(f"t={text}".encode()).time("t") == at


@pytest.mark.parametrize("text", ["-1", "x", "", "1.5", "1e3", "²", "9" * 30])
def test_numbers_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInput, match="limit"):
        Query(f"limit={text}".encode()).page(1000)


def test_other_values_that_are_none() -> None:
    with pytest.raises(InvalidInput, match="flag"):
        Query(b"flag=perhaps").boolean("flag")
    with pytest.raises(InvalidInput, match="when"):
        Query(b"when=yesterday").time("when")
    with pytest.raises(InvalidInput, match="arguments"):
        Query(b"&".join(b"a=1" for _ in range(300)))


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59"])
def test_times_whose_zone_takes_them_out_of_the_calendar(text: str) -> None:
    with pytest.raises(InvalidInput, match="query parameters t") as caught:
        Query(f"t={text}".encode()).time("t")
    assert caught.value.details["path"] == "t"


def test_pages_and_what_follows_them() -> None:
    assert Query(b"").page(1000) == Page(1000, None)
    assert Query(b"limit=5000&marker=m").page(1000) == Page(1000, "m")
    assert Query(b"limit=0").page(1000).limit == 0
    assert Query(b"name=a+b&marker=old&limit=2").after("new") == "name=a+b&limit=2&marker=new"


@pytest.mark.parametrize("query", [b"name=a%00b", b"na%00me=b", b"x=1&name=%00"])
def test_the_character_zero_is_refused_with_the_name_of_its_argument(query: bytes) -> None:
    with pytest.raises(InvalidInput, match="query parameters name"):
        Query(query)
