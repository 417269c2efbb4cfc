# SPDX-License-Identifier: Apache-2.0
"""Views: the bodies of answers, declared member by member.

A member has its name, its type, a getter, and the first and the last microversion that show it.  The JSON of an answer,
its schema in /openapi.json and its table in docs/api.md are made of the same declaration.  A view selects its members
once per microversion; after that it calls one getter per member.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, Protocol, TypeVar

from pydantic import Field
from pydantic_core import to_json

from kilonova.api.http.call import Link, Page, Reply
from kilonova.api.http.microversion import MAX, MIN, Microversion


class Audience(Protocol):
    """The reader of a view: a Call, or a value of a resource with more information."""

    @property
    def version(self) -> Microversion: ...
    @property
    def is_admin(self) -> bool: ...


T = TypeVar("T", contravariant=True)
V = TypeVar("V", bound=Audience, contravariant=True)


class _Omitted:
    """The type of OMIT."""


OMIT: Final = _Omitted()
"""The value of an `optional` member that this answer does not have."""

EmptyList = Annotated[list[str], Field(max_length=0)]
"""The type of a list that is always empty."""

Make = Callable[[Any, Any], object]
"""Makes JSON of a subject for an audience."""


class Shape:
    """The type of a member that is made of a part of the subject: another view, or a collection of views."""

    def maker(self, version: Microversion, *, admin: bool) -> Make | None:
        """Converts the getter's value to JSON; None when the value already is JSON."""
        raise NotImplementedError


@dataclass(frozen=True)  # a generic class with slots cannot be made through an alias (Python 3.11)
class Member(Generic[T, V]):
    """One member of a JSON object.

    `kind` is the type of its value: a Python type whose JSON schema pydantic knows (`str | None`, `list[str]`, a
    TypedDict), then `get` returns that value; or a `Shape`, then `get` returns the subject of the shape.

    A name may be declared twice: for other microversions, or first for administrators and later for everybody.
    """

    name: str
    kind: object
    get: Callable[[T, V], object]
    since: Microversion = MIN
    until: Microversion = MAX
    admin: bool = False
    """Only administrators see it."""
    optional: bool = False
    """`get` may return OMIT."""

    def is_in(self, version: Microversion) -> bool:
        """Whether this microversion has the member."""
        return self.since <= version <= self.until


@dataclass(frozen=True)  # a generic class with slots cannot be made through an alias (Python 3.11)
class Others(Generic[T, V]):
    """Members whose names are data (an image's properties).  A declared member replaces a member of the same name."""

    kind: object
    """The type of their values, as of `Member.kind`."""
    get: Callable[[T, V], Mapping[str, object]]
    until: Microversion = MAX


class View(Shape, Generic[T, V]):
    """A JSON object made of a T.  `name` is its name in /openapi.json and docs/api.md; empty for an envelope."""

    def __init__(self, name: str, *members: Member[T, V], others: Others[T, V] | None = None) -> None:
        self.name, self.members, self.others = name, members, others
        self._makers: dict[tuple[Microversion, bool], Callable[[T, V], dict[str, Any]]] = {}

    def but(self, name: str, *more: Member[T, V], without: Iterable[str] = ()) -> "View[T, V]":
        """The same view with members added at its end, after the members in `without` were removed."""
        kept = (member for member in self.members if member.name not in frozenset(without))
        return View(name, *kept, *more, others=self.others)

    def show(self, subject: T, audience: V) -> dict[str, Any]:
        """The object as its audience sees it."""
        return self.maker(audience.version, admin=audience.is_admin)(subject, audience)

    def reply(
        self, subject: T, audience: V, status: int | None = None, headers: tuple[tuple[str, str], ...] = ()
    ) -> Reply:
        """A reply whose body is the object; `status` None is the route's success code."""
        return Reply(to_json(self.show(subject, audience)), status, headers)

    def maker(self, version: Microversion, *, admin: bool) -> Callable[[T, V], dict[str, Any]]:
        """`show` for one microversion and kind of caller."""
        key = (version, admin)
        found = self._makers.get(key)
        if found is None:
            found = self._makers[key] = self._compiled(version, admin=admin)
        return found

    def is_in(self, version: Microversion) -> bool:
        """Whether a microversion has any of the members; an answer without members has no body."""
        return self.others_of(version) is not None or any(member.is_in(version) for member in self.members)

    def others_of(self, version: Microversion) -> Others[T, V] | None:
        """The members with free names, if this microversion has any."""
        return self.others if self.others is not None and version <= self.others.until else None

    def _compiled(self, version: Microversion, *, admin: bool) -> Callable[[T, V], dict[str, Any]]:
        members = [member for member in self.members if member.is_in(version) and (admin or not member.admin)]
        getters = {member.name: _getter(member, version, admin=admin) for member in members}
        show = _shown(tuple(getters.items()), optional=any(member.optional for member in members))
        others = self.others_of(version)
        if others is None:
            return show
        get = others.get
        make = MapOf(others.kind).maker(version, admin=admin) if isinstance(others.kind, Shape) else None
        if make is None:
            return lambda subject, audience: {**get(subject, audience), **show(subject, audience)}
        return lambda subject, audience: {**make(get(subject, audience), audience), **show(subject, audience)}


def _shown(
    getters: tuple[tuple[str, Callable[[T, V], object]], ...], *, optional: bool
) -> Callable[[T, V], dict[str, Any]]:
    if not optional:
        return lambda subject, audience: {name: get(subject, audience) for name, get in getters}
    return lambda subject, audience: {
        name: value for name, get in getters if (value := get(subject, audience)) is not OMIT
    }


def _getter(member: Member[T, V], version: Microversion, *, admin: bool) -> Callable[[T, V], object]:
    get = member.get
    make = member.kind.maker(version, admin=admin) if isinstance(member.kind, Shape) else None
    if make is None:
        return get
    if not member.optional:
        return lambda subject, audience: make(get(subject, audience), audience)

    def made(subject: T, audience: V) -> object:
        value = get(subject, audience)
        return OMIT if value is OMIT else make(value, audience)

    return made


@dataclass(frozen=True, slots=True)
class ListOf(Shape):
    """A list; the getter returns the subjects of its entries."""

    entry: Shape

    def maker(self, version: Microversion, *, admin: bool) -> Make | None:
        make = self.entry.maker(version, admin=admin)
        return None if make is None else lambda values, audience: [make(value, audience) for value in values]


@dataclass(frozen=True, slots=True)
class MapOf(Shape):
    """An object whose member names are data; the getter returns a mapping of subjects."""

    value: Shape

    def maker(
        self, version: Microversion, *, admin: bool
    ) -> Callable[[Mapping[str, Any], Any], dict[str, object]] | None:
        make = self.value.maker(version, admin=admin)
        if make is None:
            return None
        return lambda values, audience: {name: make(value, audience) for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class OrNull(Shape):
    """The shape, or null where the getter returns None."""

    shape: Shape

    def maker(self, version: Microversion, *, admin: bool) -> Make | None:
        make = self.shape.maker(version, admin=admin)
        return None if make is None else lambda value, audience: None if value is None else make(value, audience)


@dataclass(frozen=True, slots=True)
class Shown(Shape):
    """A view that the getter has already made (so that a filter can compare its content).  `partial`: members may be
    removed."""

    shape: Shape
    partial: bool = False

    def maker(self, version: Microversion, *, admin: bool) -> Make | None:
        return None


def one(name: str, view: View[T, V]) -> View[T, V]:
    """`{name: view}`."""
    return View("", Member(name, view, lambda subject, _: subject))


def many(name: str, view: View[T, V]) -> View[Iterable[T], V]:
    """`{name: [view, ...]}`."""
    return View("", Member(name, ListOf(view), lambda subjects, _: subjects))


def paged(name: str, view: View[T, V], links: str = "", since: Microversion = MIN) -> View[Page[T], V]:
    """`{name: [view, ...], links: [...]}`; pages came with the microversion `since`."""

    def after(page: Page[T], _: V) -> object:
        return OMIT if page.next is None else page.next

    entries = Member[Page[T], V](name, ListOf(view), lambda page, _: page.entries)
    return View("", entries, Member(links or f"{name}_links", list[Link], after, since=since, optional=True))
