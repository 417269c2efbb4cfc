# SPDX-License-Identifier: Apache-2.0
"""The list of images: filtered by fields, lists of values and properties; sorted; in pages."""

import csv
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.query import Query
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import OMIT, ListOf, Member, View
from kilonova.api.image.view import IMAGE
from kilonova.base.errors import InvalidInput
from kilonova.db.readers import images as read_images
from kilonova.objects.image import Image, MemberStatus

Test = Callable[[Image], bool]

_SORT: Mapping[str, Callable[[Image], Any]] = {
    "name": lambda image: image.name or "",
    "status": lambda image: image.status,
    "container_format": lambda image: image.container_format or "",
    "disk_format": lambda image: image.disk_format or "",
    "size": lambda image: image.size or 0,
    "id": lambda image: image.id,
    "created_at": lambda image: image.created_at,
    "updated_at": lambda image: image.updated_at,
}

_TEXTS = frozenset(
    {"id", "name", "status", "owner", "disk_format", "container_format", "checksum", "os_hash_value", "os_hash_algo"}
)
_LISTS = frozenset({"id", "name", "status", "disk_format", "container_format"})
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}
_NO_FILTERS = frozenset({"limit", "marker", "sort_key", "sort_dir", "sort", "member_status"})
ARGUMENTS = (
    _TEXTS
    | _NO_FILTERS
    | {"visibility", "tag", "protected", "os_hidden", "min_disk", "min_ram"}
    | {"size_min", "size_max", "created_at", "updated_at"}
)
"""Arguments with a fixed meaning.  Any other argument filters by the property of that name."""

VISIBILITIES = ("public", "community", "shared", "private", "all")
STATUSES = (*MemberStatus, "all")


async def list_images(call: Call) -> Reply:
    """List images: the project's own, public ones, and shared ones that the project accepted.

    `member_status` selects shared images of another status.  Hidden images, and community images of other projects,
    are listed only on request.  Administrators see the images of all projects.
    """
    window = call.query.page(call.deps.settings.max_limit)
    tests = _tests(call.query)
    visibility = _word(call.query, "visibility", VISIBILITIES)
    status = _word(call.query, "member_status", STATUSES) or MemberStatus.ACCEPTED
    found: list[Image] = await call.db.read(
        read_images.list_images,
        call.context.project_id,
        admin=call.context.is_admin,
        shared=read_images.ANY_STATUS if status == "all" else frozenset({MemberStatus(status)}),
        community=visibility in ("community", "all"),
    )
    found = [image for image in found if all(test(image) for test in tests)]
    _sort(found, call.query)
    rest = window.behind(found, lambda image: image.id, "The marker image {} could not be found.")
    page = rest[: window.limit]
    more = bool(page) and len(rest) > len(page)
    return _IMAGES.reply(_Page(page, more), call)


@dataclass(frozen=True, slots=True)
class _Page:
    """The images of a page; `more`: there is a page after it."""

    images: Sequence[Image]
    more: bool


def _first(call: Call) -> str:
    return _href(urlencode([pair for pair in call.query.pairs if pair[0] != "marker"]))


def _next(page: _Page, call: Call) -> object:
    return _href(call.query.after(page.images[-1].id)) if page.more else OMIT


_IMAGES = View[_Page, Call](
    "",
    Member("images", ListOf(IMAGE), lambda page, _: page.images),
    Member("schema", str, lambda _, __: "/v2/schemas/images"),
    Member("first", str, lambda _, call: _first(call)),
    Member("next", str, _next, optional=True),
)

ROUTES = (
    Route("GET", "/images", list_images, "get_images", DefaultPolicy.READER, reply=_IMAGES, query=ARGUMENTS,
        note="any other argument filters by the property of that name"),
)  # fmt: skip


def _word(query: Query, name: str, words: Collection[str]) -> str | None:
    text = query.text(name)
    if text is not None and text not in words:
        raise InvalidInput(f"Invalid {name} value: {text[:64]}. Use one of {', '.join(words)}.", path=name)
    return text


def _href(query: str) -> str:
    return f"/v2/images?{query}" if query else "/v2/images"


def _tests(query: Query) -> list[Test]:
    tests: list[Test] = []
    if query.text("os_hidden") is None:
        tests.append(lambda image: not image.os_hidden)
    for name, text in query.pairs:
        if name not in _NO_FILTERS:
            tests.append(_test(name, text, query))
    return tests


def _test(name: str, text: str, query: Query) -> Test:
    if name in _TEXTS:
        return _text_test(name, text)
    if name == "visibility":
        return lambda image: text == "all" or image.visibility == text
    if name == "tag":
        return lambda image: text in image.tags
    if name in ("protected", "os_hidden"):
        flag = query.boolean(name)
        return lambda image: getattr(image, name) == flag
    if name in ("min_disk", "min_ram", "size_min", "size_max"):
        return _number_test(name, query.integer(name) or 0)
    if name in ("created_at", "updated_at"):
        return _time_test(name, text)
    return lambda image: image.properties.get(name) == text


def _text_test(name: str, text: str) -> Test:
    values = frozenset({text})
    if name in _LISTS and text.startswith("in:"):
        values = _words(name, text.removeprefix("in:"))
    if name == "os_hash_algo":
        return lambda image: image.os_hash_value is not None and "sha512" in values
    return lambda image: getattr(image, name) in values


def _words(name: str, text: str) -> frozenset[str]:
    """The values of a comma-separated list, in which values can be quoted."""
    try:
        return frozenset(next(csv.reader([text])))
    except csv.Error as exc:
        raise InvalidInput(f"Invalid input for query parameters {name}. It is not a list.", path=name) from exc


def _number_test(name: str, number: int) -> Test:
    if name == "size_min":
        return lambda image: (image.size or 0) >= number
    if name == "size_max":
        return lambda image: (image.size or 0) <= number
    return lambda image: getattr(image, name) == number


def _time_test(name: str, text: str) -> Test:
    operator, _, rest = text.partition(":")
    if operator not in _COMPARED:
        operator, rest = "eq", text
    at = Query(urlencode({name: rest}).encode()).time(name)
    compare = _COMPARED[operator]
    return lambda image: compare(getattr(image, name).replace(microsecond=0), at)


def _sort(images: list[Image], query: Query) -> None:
    """Newest first by default.  Arguments: sort=key:dir,key or sort_key and sort_dir, several of each."""
    if (text := query.text("sort")) is not None:
        words = [word.strip().partition(":") for word in text.split(",")]
        keys = [(key, direction or "desc") for key, _, direction in words]
    else:
        names, directions = query.all("sort_key"), query.all("sort_dir")
        default = directions[0] if directions else "desc"
        pairs = enumerate(names or ["created_at"])
        keys = [(name, directions[at] if at < len(directions) else default) for at, name in pairs]
    for key, direction in reversed([*keys, ("id", keys[-1][1])]):
        if key not in _SORT or direction not in ("asc", "desc"):
            raise InvalidInput(f"Invalid sort: {key[:64]} {direction[:64]}.", path="sort")
        images.sort(key=_SORT[key], reverse=direction == "desc")
