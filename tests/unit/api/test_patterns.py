# SPDX-License-Identifier: Apache-2.0
"""Regular expressions from users: useful ones pass, ones that could hold the process do not."""

import time

import pytest

from kilonova.base.errors import InvalidInput
from kilonova.db.readers.patterns import Budget, Search, compiled, literal


@pytest.mark.parametrize(
    "pattern",
    ["web", "^web-1$", "web-.*", r"^web-\d+\.example", "^(web|db)-[0-9]+$", "[*+?]{3}", r"a\*\*\*\*", "", "[]]", "é+"],
)
def test_useful_ones_pass(pattern: str) -> None:
    assert compiled("name", pattern).pattern == pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|a)*b",
        "(a|b|ab)*c",
        ".*.*.*x",
        "(a?){20}a{20}",
        "a?a?a?a?a?a?a?a?aaaaaaaa",
        "(?=a)a",
        "(?:a+)+",
        r"(a)\1",
        "(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)b",
        "a" * 300,
        "(",
        "[",
        "*",
        "a{99999999999999}",
    ],
)
def test_dangerous_and_broken_ones_do_not(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="name"):
        compiled("name", pattern)


def test_the_worst_that_passes_is_still_quick() -> None:
    for pattern in (".*.*x", "a+a+b", ".*a.*b", "(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)b", "a?a?a?a?a?a?a?b"):
        regex = compiled("name", pattern)
        began = time.process_time()
        regex.search("a" * 255)
        assert time.process_time() - began < 2, pattern


def searched(pattern: str, text: str, most: int = 1_000_000) -> int:
    """How many such texts may be searched in one list."""
    search = Search("name", pattern, Budget())
    for number in range(most):
        try:
            search.finds(text)
        except InvalidInput:
            return number
    return most


def test_many_names_are_searched_as_long_as_it_is_quick() -> None:
    """The budget counts steps, not seconds: what is refused does not depend on the machine."""
    assert searched("a?a*a*b", "a" * 255) < 100
    assert searched("web.*prod.*", "web-of-some-prod-name") > 40_000
    assert searched("web", "web-1") > 90_000
    assert searched(r"\*", "*" * 255, 1000) == 1000


def test_both_patterns_of_a_list_spend_one_budget() -> None:
    budget = Budget()
    name, ip = Search("name", "a*a*b", budget), Search("ip", "1*1*2", budget)
    for _ in range(60):
        name.finds("a" * 255)
    ip.finds("10.0.0.1")
    with pytest.raises(InvalidInput, match="ip takes too long"):
        ip.finds("1" * 255)


def test_an_anchored_literal_is_known_as_one() -> None:
    assert literal("^web-1$") == "web-1"
    assert literal(r"^a\.b\*c$") == "a.b*c"
    assert literal("^$") == ""
    for other in ("web-1", "^web-.$", "^web", "web$", "^a|b$", r"^\d$", r"^\w\.$", "^a+$"):
        assert literal(other) is None
