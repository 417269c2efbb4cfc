# SPDX-License-Identifier: Apache-2.0
"""Lists of Network v2.0: filtered by members of the entries, reduced to `fields`, in pages."""

from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.api.http.call import Call, Link, Page, Reply
from kilonova.api.http.query import Query, boolean_word
from kilonova.api.http.views import OMIT, ListOf, Member, Shown, View
from kilonova.base.errors import InvalidInput, NotFound

MOST = 1000
ARGUMENTS = frozenset({"id", "name", "fields", "limit", "marker"})
"""The arguments of every list.  In addition, each member of an entry is a filter."""
_NOT_FILTERS = frozenset({"fields", "limit", "marker", "sort_key", "sort_dir", "page_reverse"})

Entries = Sequence[dict[str, Any]]
"""Resources as their view made them: filters compare what is shown."""


def listing(name: str, view: View[Any, Call]) -> View[Page[dict[str, Any]], Call]:
    """`{name: [...]}`, with links to the next page."""
    return View(
        "",
        Member(name, ListOf(Shown(view, partial=True)), lambda page, _: page.entries),
        Member(f"{name}_links", list[Link], lambda page, _: OMIT if page.next is None else page.next, optional=True),
    )


def single(name: str, view: View[Any, Call]) -> View[Mapping[str, Any], Call]:
    """`{name: {...}}`."""
    return View("", Member(name, Shown(view, partial=True), lambda entry, _: entry))


def listed(call: Call, reply: View[Page[dict[str, Any]], Call], things: Entries) -> Reply:
    """A reply with the entries that the query selects.  Arguments that are not members of the entries
    are ignored: clients send arguments of extensions."""
    chosen = [thing for thing in things if _matches(thing, call.query)]
    page = call.query.page(MOST)
    if page.marker is not None:
        at = next((index for index, thing in enumerate(chosen) if thing["id"] == page.marker), None)
        if at is None:
            raise InvalidInput(f"The marker {page.marker[:64]} could not be found.", path="marker")
        chosen = chosen[at + 1 :]
    more = len(chosen) > page.limit
    chosen = chosen[: page.limit]
    entries = [_cut(thing, call.query) for thing in chosen]
    return reply.reply(Page(entries, call.links_after(chosen[-1]["id"]) if more and chosen else None), call)


def shown(call: Call, reply: View[Mapping[str, Any], Call], kind: str, things: Entries) -> Reply:
    """A reply with the resource of the path's id.  Raises NotFound, also for a name: clients then request a list."""
    wanted = call.params["id"]
    for thing in things:
        if thing["id"] == wanted:
            return reply.reply(_cut(thing, call.query), call)
    raise NotFound(f"{kind} {wanted[:255]} could not be found.")


def _cut(thing: dict[str, Any], query: Query) -> dict[str, Any]:
    fields = frozenset(query.all("fields"))
    return {name: value for name, value in thing.items() if name in fields} if fields else thing


def _matches(thing: Mapping[str, Any], query: Query) -> bool:
    return all(
        any(_is(thing[name], text) for text in query.all(name))
        for name in query.names()
        if name in thing and name not in _NOT_FILTERS
    )


def _is(value: object, text: str) -> bool:
    if isinstance(value, bool):
        return boolean_word(text) is value
    if isinstance(value, list):  # a list of ids, or fixed_ips with "ip_address=192.0.2.1"
        key, _, part = text.partition("=")
        return any(text == item or (isinstance(item, dict) and item.get(key) == part) for item in value)
    return ("" if value is None else str(value)) == text
