# SPDX-License-Identifier: Apache-2.0
"""One request on its way to a handler, and what the handler gives back."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from kilonova.api.http.deps import ApiDeps
from kilonova.api.http.microversion import Microversion
from kilonova.api.http.query import Query
from kilonova.base.context import RequestContext
from kilonova.db.engine import Database

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` None is the row's own success code.  `stream` sends its pieces instead of `body`; then `headers` name
    the length."""

    body: bytes = b""
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = JSON
    stream: AsyncIterator[bytes] | None = None


def json_reply(value: Any, status: int | None = None, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """A reply whose body is `value` as JSON."""
    return Reply(to_json(value), status, headers)


@dataclass(frozen=True, slots=True)
class Links:
    """Where the client reached us: hrefs are made of it, because clients follow them literally.

    `base` is scheme, authority and prefix of the whole, `service` the path of the service's version ("/compute/v2.1").
    """

    base: str
    service: str

    def to(self, path: str) -> str:
        """An absolute href below the service's version."""
        return f"{self.base}{self.service}{path}"

    def bookmark(self, path: str) -> str:
        """An absolute href that does not name a version."""
        return f"{self.base}{self.service.rpartition('/')[0]}{path}"

    def pair(self, path: str) -> list[dict[str, str]]:
        """The two links of a thing: itself under this version, and its bookmark."""
        return [{"rel": "self", "href": self.to(path)}, {"rel": "bookmark", "href": self.bookmark(path)}]


@dataclass(slots=True)
class Call:
    """A request that passed the token, the policy and the microversion.  `params` are the row's path parameters."""

    deps: ApiDeps
    context: RequestContext
    version: Microversion
    params: Mapping[str, str]
    query: Query
    links: Links
    path: str
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    peer: str = ""
    """The client's address; empty when there is none (a unix socket)."""

    @property
    def db(self) -> Database:
        """For `await call.db.read(reader, ...)`."""
        return self.deps.db

    @property
    def scope(self) -> str | None:
        """The project to which reads are confined; None for an administrator, who sees all."""
        return None if self.context.is_admin else self.context.project_id

    def permit(self, rule: str) -> None:
        """Raises Forbidden unless policy lets the caller do what `rule` names."""
        self.deps.policy.permit(rule, self.context, self.params)

    def may(self, rule: str) -> bool:
        """Whether policy lets the caller do what `rule` names."""
        return self.deps.policy.allows(rule, self.context, self.params)

    def next_page(self, name: str, marker: str) -> dict[str, list[dict[str, str]]]:
        """The member that links to the page after `marker`."""
        return {name: [{"rel": "next", "href": f"{self.links.to(self.path)}?{self.query.after(marker)}"}]}
