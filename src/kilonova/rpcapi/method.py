# SPDX-License-Identifier: Apache-2.0
"""RPC methods as data: callers, endpoints and docs/rpc.md use the same declarations."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from kilonova.base.errors import (
    DatabaseUnavailable,
    KilonovaError,
    Overloaded,
    RpcTimeout,
    RpcUnavailable,
)
from kilonova.rpc.bus import USUAL_PAYLOAD, token

Q = TypeVar("Q")
R = TypeVar("R")
T = TypeVar("T")


class Kind(Enum):
    """A CALL waits for a reply; a CAST does not, and may be lost."""

    CALL = "call"
    CAST = "cast"


ANY_CALL = (RpcTimeout, RpcUnavailable, DatabaseUnavailable, Overloaded)
"""Errors of every call, besides those that its method declares."""


@dataclass(frozen=True)
class Method(Generic[Q, R]):
    """One RPC method.

    `subject` is where it is served; `*` in it stands for the peer's name.  `timeout_s` limits the whole call; an
    `idempotent` call is sent again every `attempt_s` within it.  `changes` is False for a method that only reads.
    `errors` are the errors that the server sends, besides ANY_CALL.  `since` is the first code version with the method.
    """

    subject: str
    name: str
    request: type[Q]
    reply: type[R]
    doc: str
    errors: tuple[type[KilonovaError], ...] = ()
    kind: Kind = Kind.CALL
    timeout_s: float = 20.0
    attempt_s: float = 5.0
    idempotent: bool = True
    changes: bool = True
    since: int = 1

    @property
    def is_served_by_hosts(self) -> bool:
        """Whether a host serves it, and not the conductors."""
        return self.subject.startswith("compute.")

    @cached_property
    def request_form(self) -> TypeAdapter[Q]:
        return TypeAdapter(self.request)

    @cached_property
    def reply_form(self) -> TypeAdapter[R]:
        return TypeAdapter(self.reply)

    def subject_of(self, peer: str) -> str:
        """The subject of a call: `peer` is a host's name, or "" for a method that any conductor serves."""
        assert ("*" in self.subject) == bool(peer), f"{self.name} at {self.subject} for {peer!r}"
        return self.subject.replace("*", token(peer))

    def declares(self, error: KilonovaError) -> bool:
        """Whether callers of this method must expect the error."""
        return isinstance(error, (*self.errors, *ANY_CALL))


@dataclass(frozen=True, slots=True)
class Ack:
    """An empty reply: the request was carried out."""


def reply_bytes(max_payload: int) -> int:
    """Size limit of the records in one reply, for a bus with that limit of one message."""
    return max_payload // 2


REPLY_BYTES = reply_bytes(USUAL_PAYLOAD)


def fitting(records: Iterable[T], size_of: Callable[[T], int], limit: int = REPLY_BYTES) -> Iterator[T]:
    """The first records that fit into one reply of `limit` bytes, at least one.  Reads at most one record beyond
    them."""
    taken = 0
    for record in records:
        size = size_of(record)
        if taken and taken + size > limit:
            return
        taken += size
        yield record


Methods = Mapping[str, Method[Any, Any]]


def methods_of(module: Any) -> Methods:
    """The methods that a module declares, by name (for docs and tests)."""
    return {method.name: method for method in vars(module).values() if isinstance(method, Method)}
