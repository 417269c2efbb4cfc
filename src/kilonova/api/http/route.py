# SPDX-License-Identifier: Apache-2.0
"""Routes are rows: one per request that is served.  Dispatch, policy, OpenAPI and docs/api.md are made of them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel

from kilonova.api.http.call import JSON, Reply
from kilonova.api.http.faults import HttpError
from kilonova.api.http.microversion import MAX, MIN, Microversion
from kilonova.base.errors import NotFound

Handler = Callable[..., Awaitable[Reply]]
"""Takes the Call, and then the body when the row has a model for it."""


class Role(StrEnum):
    """What a row asks of its caller, unless a policy file says otherwise: check strings of oslo.policy.

    They are made of the rules in `kilonova.api.http.policy.BASE`.  Each role includes those that it implies, so that an
    administrator passes for a member, and a member for a reader.
    """

    ANYBODY = ""
    """No token, and no policy."""
    TOKEN = "@"
    """Any token, also one without a project."""
    OWNER = "rule:admin_required or rule:owner"
    """The user that the path names, or an administrator."""
    READER = "rule:project_reader_or_admin"
    MEMBER = "rule:project_member_or_admin"
    ADMIN = "rule:context_is_admin"
    SYSTEM_READER = "rule:admin_required or rule:system_reader"
    """Who administers users and projects, or has a token for the system and may look at them."""
    DOMAIN_READER = "rule:admin_required or rule:system_reader or rule:domain_reader"
    """The same, or has such a token for the domain."""
    USER_READER = "rule:admin_required or rule:system_reader or rule:domain_reader or rule:owner"
    PROJECT_READER = "rule:admin_required or rule:system_reader or rule:domain_reader or rule:project_reader_api"
    """The same, or is whom the path names, or has a role in the project that it names."""
    IDENTITY_ADMIN = "rule:admin_required"
    """Apart from ADMIN, so that whoever is let into all projects cannot give roles to himself."""


class Alternative(Protocol):
    """One of the bodies that a route takes, told from the others by its one key: an action."""

    @property
    def body(self) -> type[BaseModel]: ...
    @property
    def rule(self) -> str: ...
    @property
    def role(self) -> Role: ...
    @property
    def success(self) -> int: ...
    @property
    def min(self) -> Microversion: ...
    @property
    def max(self) -> Microversion: ...


Alternatives = Mapping[str, tuple[Alternative, ...]]
"""By the body's one key; one of each tuple serves a microversion."""


@dataclass(frozen=True, slots=True)
class Row:
    """One route.  `path` is below its service, with {parameters}; `rule` is the policy's name as oslo.policy knows it.

    `body` is the model of the request's body; with `whole` the handler gets the body as bytes and looks into them
    itself; with neither, a handler that wants a body reads the call's chunks.  `query` names the arguments that are
    known: from `strict` on others are refused, before they are ignored.

    What is only for readers: `also`, codes of success besides `success`; of a body that the handler looks into itself,
    its `actions` or its `shape` (a model or a JSON schema) and what media type it `accepts`; and what it `gives`.
    """

    method: str
    path: str
    handler: Handler
    rule: str
    role: Role
    success: int = 200
    reply: str = ""
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


@dataclass(slots=True)
class _Node:
    """A place in the tree of paths."""

    literals: dict[str, "_Node"] = field(default_factory=dict[str, "_Node"])
    parameter: "_Node | None" = None
    name: str = ""
    rows: list[Row] = field(default_factory=list[Row])


class Router:
    """Finds the row of a request.  A literal segment wins over a parameter if it has a row that fits."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._root = _Node()
        for row in rows:
            self._add(row)

    def _add(self, row: Row) -> None:
        node = self._root
        for segment in row.path.strip("/").split("/") if row.path else ():
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node(name=segment[1:-1])
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        node.rows.append(row)

    def find(self, method: str, segments: Sequence[str], version: Microversion) -> tuple[Row, dict[str, str]]:
        """The row and its path parameters.  Raises NotFound, or HttpError 405 when only the method does not fit."""
        allowed: set[str] = set()
        for node, params in _places(self._root, segments, 0):
            for row in node.rows:
                if row.min <= version <= row.max:
                    if row.method == method:
                        return row, params
                    allowed.add(row.method)
        if allowed:
            raise HttpError(
                405, f"The method {method[:16]} is not allowed here.", (("Allow", ", ".join(sorted(allowed))),)
            )
        raise NotFound("The resource could not be found.")


def _places(node: _Node, segments: Sequence[str], at: int) -> Iterable[tuple[_Node, dict[str, str]]]:
    if at == len(segments):
        yield node, {}
        return
    segment = segments[at]
    literal = node.literals.get(segment)
    if literal is not None:
        yield from _places(literal, segments, at + 1)
    if node.parameter is not None and segment:
        for place, params in _places(node.parameter, segments, at + 1):
            yield place, {node.parameter.name: segment, **params}


@dataclass(frozen=True)
class Service:
    """The rows below one prefix ("/compute/v2.1").  `microversions`: it negotiates them and says so in its answers;
    `identity`, `network`: its faults have that API's form; `open`: what it does not have is 404 without asking for a
    token.  So it is with `identity` where a request has none, as Keystone answers; elsewhere it is 401, as the token is
    looked at before the path (keystonemiddleware)."""

    prefix: str
    rows: tuple[Row, ...]
    open: bool = False
    microversions: bool = False
    identity: bool = False
    network: bool = False
