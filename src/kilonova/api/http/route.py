# SPDX-License-Identifier: Apache-2.0
"""Routes: one per request that is served.  Dispatch, policy, /openapi.json and docs/api.md are made of them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel

from kilonova.api.http.call import JSON, Reply
from kilonova.api.http.faults import HttpError
from kilonova.api.http.microversion import MAX, MIN, Microversion
from kilonova.api.http.views import View
from kilonova.base.errors import NotFound

Handler = Callable[..., Awaitable[Reply]]
"""Takes the Call, and then the body if the route has a model for it."""


class DefaultPolicy(StrEnum):
    """The default check strings of oslo.policy: which callers may use a route, unless a policy file changes it.

    They are made of the rules in `kilonova.api.http.policy.BASE`.  A higher role includes the lower ones: an
    administrator passes for a member, and a member for a reader.
    """

    ANYBODY = ""
    """No token, and no policy check."""
    TOKEN = "@"
    """Any token, also one without a project."""
    OWNER = "rule:admin_required or rule:owner"
    """The user in the path, or an administrator."""
    READER = "rule:project_reader_or_admin"
    MEMBER = "rule:project_member_or_admin"
    ADMIN = "rule:context_is_admin"
    SYSTEM_READER = "rule:admin_required or rule:system_reader"
    """An administrator of users and projects, or a reader with a token for the system."""
    DOMAIN_READER = "rule:admin_required or rule:system_reader or rule:domain_reader"
    """SYSTEM_READER, or a reader with a token for the domain."""
    USER_READER = "rule:admin_required or rule:system_reader or rule:domain_reader or rule:owner"
    PROJECT_READER = "rule:admin_required or rule:system_reader or rule:domain_reader or rule:project_reader_api"
    """DOMAIN_READER, or the user in the path, or a reader of the project in the path."""
    IDENTITY_ADMIN = "rule:admin_required"
    """Separate from ADMIN, so that a user with access to all projects cannot give roles to themselves."""


class Alternative(Protocol):
    """One of the bodies that a route accepts, selected by its one key: an action."""

    @property
    def body(self) -> type[BaseModel]: ...
    @property
    def handler(self) -> Handler: ...
    @property
    def rule(self) -> str: ...
    @property
    def default(self) -> DefaultPolicy: ...
    @property
    def success(self) -> int: ...
    @property
    def reply(self) -> View[Any, Any] | None: ...
    @property
    def min(self) -> Microversion: ...
    @property
    def max(self) -> Microversion: ...


Alternatives = Mapping[str, tuple[Alternative, ...]]
"""The actions by the body's one key.  At most one of each tuple serves a microversion."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route.

    `path` is below its service, with {parameters}, of which the last may be a {rest*} of segments; `rule` is the name
    of its policy in oslo.policy.  `reply` is the view of a successful answer's JSON; None: it has no body, or one of
    another media type (`gives`).

    `body` is the model of the request's body.  With `whole` the handler receives the body as bytes and parses it
    itself.  With neither, a handler that needs a body reads the call's chunks.  `query` names the known query
    arguments: from the microversion `strict` on, others are refused; before, they are ignored.  A POST with the request
    header `idempotency_header` may be repeated.

    For documentation only: `also`, success codes besides `success`; of a body that the handler parses itself, its
    `actions` or its `shape` (a model or a JSON schema) and the media type that it `accepts`; and a `note`.
    """

    method: str
    path: str
    handler: Handler
    rule: str
    default: DefaultPolicy
    success: int = 200
    reply: View[Any, Any] | None = None
    body: type[BaseModel] | None = None
    whole: bool = False
    query: frozenset[str] = frozenset()
    strict: Microversion | None = None
    min: Microversion = MIN
    max: Microversion = MAX
    also: tuple[int, ...] = ()
    actions: Alternatives = field(default_factory=dict[str, tuple[Alternative, ...]])
    shape: type[BaseModel] | Mapping[str, Any] | None = None
    accepts: str = JSON
    gives: str = JSON
    note: str = ""
    idempotency_header: str = ""


@dataclass(slots=True)
class _Node:
    """A node in the tree of paths."""

    literals: dict[str, "_Node"] = field(default_factory=dict[str, "_Node"])
    parameter: "_Node | None" = None
    rest: "_Node | None" = None
    name: str = ""
    routes: list[Route] = field(default_factory=list[Route])


class Router:
    """Finds the route of a request.  A literal segment has precedence over a parameter if it has a matching route, and
    a parameter over the rest of a path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in route.path.strip("/").split("/") if route.path else ():
            if segment.endswith("*}"):
                node.rest = node.rest or _Node(name=segment[1:-2])
                node = node.rest
            elif segment.startswith("{"):
                node.parameter = node.parameter or _Node(name=segment[1:-1])
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        node.routes.append(route)

    def find(self, method: str, segments: Sequence[str], version: Microversion) -> tuple[Route, dict[str, str]]:
        """The route and its path parameters.  Raises NotFound, or HttpError 405 if only the method does not match."""
        allowed: set[str] = set()
        for node, params in _nodes(self._root, segments, 0):
            for route in node.routes:
                if route.min <= version <= route.max:
                    if route.method == method:
                        return route, params
                    allowed.add(route.method)
        if allowed:
            raise HttpError(
                405, f"The method {method[:16]} is not allowed here.", (("Allow", ", ".join(sorted(allowed))),)
            )
        raise NotFound("The resource could not be found.")


def _nodes(node: _Node, segments: Sequence[str], at: int) -> Iterable[tuple[_Node, dict[str, str]]]:
    if at == len(segments):
        yield node, {}
        return
    segment = segments[at]
    literal = node.literals.get(segment)
    if literal is not None:
        yield from _nodes(literal, segments, at + 1)
    if node.parameter is not None and segment:
        for node_below, params in _nodes(node.parameter, segments, at + 1):
            yield node_below, {node.parameter.name: segment, **params}
    if node.rest is not None:
        yield node.rest, {node.rest.name: "/".join(segments[at:])}


@dataclass(frozen=True)
class Service:
    """The routes below one prefix ("/compute/v2.1").

    `microversions`: it negotiates microversions and names them in its answers.  `identity`, `network`: its faults have
    the form of that API.  `open`: an unknown path is 404 without a token.  An unknown path of `identity` is 404 if the
    request has no token, as in Keystone; elsewhere it is 401, because the token is checked before the path
    (keystonemiddleware).
    """

    prefix: str
    routes: tuple[Route, ...]
    open: bool = False
    microversions: bool = False
    identity: bool = False
    network: bool = False
