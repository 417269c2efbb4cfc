# SPDX-License-Identifier: Apache-2.0
"""Regular expressions from users: useful ones pass, ones that could hold the process do not."""

import time

import pytest

from kilonova.base.errors import InvalidInput
from kilonova.db.readers.patterns import compiled, literal


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


def test_an_anchored_literal_is_known_as_one() -> None:
    assert literal("^web-1$") == "web-1"
    assert literal(r"^a\.b\*c$") == "a.b*c"
    assert literal("^$") == ""
    for other in ("web-1", "^web-.$", "^web", "web$", "^a|b$", r"^\d$", r"^\w\.$", "^a+$"):
        assert literal(other) is None
