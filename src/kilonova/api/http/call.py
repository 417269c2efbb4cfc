# SPDX-License-Identifier: Apache-2.0
"""A request as a handler receives it, and the reply that the handler returns."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from kilonova.api.http.deps import ApiDeps
from kilonova.api.http.microversion import Microversion
from kilonova.api.http.query import Query
from kilonova.base.context import RequestContext
from kilonova.db.engine import Database

JSON = "application/json"

Live = Callable[[Callable[[bytes], Awaitable[None]]], Awaitable[None]]
"""Sends the body of an answer that has no end of its own, piece by piece, by the function that it receives.  It returns
when the client is gone (`Call.gone`)."""

E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of a handler.  `status` None is the route's success code.  With `stream`, its pieces are sent instead
    of `body`, and `headers` give the length.  With `live`, the body has no length."""

    body: bytes = b""
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = JSON
    stream: AsyncIterator[bytes] | None = None
    live: Live | None = None


class Link(TypedDict):
    """One entry of `links`."""

    rel: str
    href: str


@dataclass(frozen=True)  # a generic class with slots cannot be made through an alias (Python 3.11)
class Page(Generic[E_co]):
    """The entries of one page of a list.  `next` is the link to the page after it, when there may be one."""

    entries: Sequence[E_co]
    next: list[Link] | None = None


@dataclass(frozen=True, slots=True)
class Links:
    """Makes hrefs from the address that the client used, because clients follow them literally.

    `base` is its scheme, authority and prefix; `service` is the path of the service's version ("/compute/v2.1").
    """

    base: str
    service: str

    def to(self, path: str) -> str:
        """An absolute href below the service's version."""
        return f"{self.base}{self.service}{path}"

    def bookmark(self, path: str) -> str:
        """An absolute href that does not name a version."""
        return f"{self.base}{self.service.rpartition('/')[0]}{path}"

    def pair(self, path: str) -> list[Link]:
        """The two links of a resource: itself under this version, and its bookmark."""
        return [{"rel": "self", "href": self.to(path)}, {"rel": "bookmark", "href": self.bookmark(path)}]


@dataclass(slots=True)
class Call:
    """A request after the checks of token, policy and microversion.  `params` are the route's path parameters."""

    deps: ApiDeps
    context: RequestContext
    version: Microversion
    params: Mapping[str, str]
    query: Query
    links: Links
    path: str
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    gone: Callable[[], Coroutine[None, None, None]]
    """Returns when the client has disconnected, or the server stops.  The body was read before."""
    peer: str = ""
    """The client's address; empty when there is none (a unix socket)."""

    @property
    def db(self) -> Database:
        """For `await call.db.read(reader, ...)`."""
        return self.deps.db

    @property
    def is_admin(self) -> bool:
        """Whether the caller is an administrator."""
        return self.context.is_admin

    @property
    def scope(self) -> str | None:
        """The project whose resources the caller sees; None for an administrator, who sees the resources of all
        projects."""
        return None if self.context.is_admin else self.context.project_id

    def permit(self, rule: str) -> None:
        """Raises Forbidden unless policy permits `rule` to the caller."""
        self.deps.policy.permit(rule, self.context, self.params)

    def may(self, rule: str) -> bool:
        """Whether policy permits `rule` to the caller."""
        return self.deps.policy.allows(rule, self.context, self.params)

    def page(self, entries: Sequence[E], limit: int, marker: Callable[[E], str]) -> Page[E]:
        """A page of a list.  A full page, of `limit` entries, has a link to the next page, after its last entry's
        `marker`."""
        if not entries or len(entries) < limit:
            return Page(entries)
        return Page(entries, self.links_after(marker(entries[-1])))

    def links_after(self, marker: str) -> list[Link]:
        """The link to the page after `marker`."""
        return [{"rel": "next", "href": f"{self.links.to(self.path)}?{self.query.after(marker)}"}]
