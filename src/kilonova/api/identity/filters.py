# SPDX-License-Identifier: Apache-2.0
"""Filters of Identity's lists, which compare members of the entries.  Routes name them; others are refused.

Source: Identity API v3 reference, "Filtering": NAME=VALUE, and NAME__COMPARATOR=VALUE for text.  A comparator that
begins with i ignores case.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kilonova.api.http.query import Query

_COMPARED: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "startswith": lambda text, part: text.startswith(part),
    "endswith": lambda text, part: text.endswith(part),
}
_WORDS = ("", *(f"__{case}{word}" for word in _COMPARED for case in ("", "i")))

TEXTS = frozenset(
    {"name", "type", "domain_id", "parent_id", "default_project_id", "interface", "service_id", "region_id"}
    | {"parent_region_id"}
)
FLAGS = frozenset({"enabled", "is_domain"})
TAGS: Mapping[str, Callable[[frozenset[str], frozenset[str]], bool]] = {
    "tags": lambda tags, wanted: wanted <= tags,
    "tags-any": lambda tags, wanted: bool(wanted & tags),
    "not-tags": lambda tags, wanted: not wanted <= tags,
    "not-tags-any": lambda tags, wanted: not wanted & tags,
}


def arguments(*names: str) -> frozenset[str]:
    """The query arguments of a list that these members filter."""
    texts = {f"{name}{word}" for name in names if name in TEXTS for word in _WORDS}
    return frozenset(texts | {name for name in names if name not in TEXTS})


def flag(query: Query, name: str) -> bool | None:
    """A boolean argument.  In Identity, an argument without a value means true."""
    return True if query.text(name) == "" else query.boolean(name)


def matching(query: Query, things: Iterable[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """The entries that match every argument.  Raises InvalidInput for an invalid value."""
    tests = [test for name, text in query.pairs if (test := _test(query, name, text)) is not None]
    return [thing for thing in things if all(test(thing) for test in tests)]


def _test(query: Query, name: str, text: str) -> Callable[[dict[str, Any]], bool] | None:
    """The test of one argument; None if the argument is not a filter."""
    if name in FLAGS:
        wanted = flag(query, name)
        return lambda thing: thing[name] == wanted
    if name in TAGS:
        tags, matches = frozenset(text.split(",")), TAGS[name]
        return lambda thing: matches(frozenset(thing["tags"]), tags)
    member, _, word = name.partition("__")
    if member not in TEXTS:
        return None
    if not word:
        return lambda thing: thing.get(member) == text
    compare = _COMPARED[word.removeprefix("i")]
    if word.startswith("i"):
        return lambda thing: compare((thing.get(member) or "").casefold(), text.casefold())
    return lambda thing: compare(thing.get(member) or "", text)
