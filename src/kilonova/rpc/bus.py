# SPDX-License-Identifier: Apache-2.0
"""The bus port.

A bus carries bytes between subjects; kilonova.rpcapi defines their meaning.  Messages may be lost, duplicated or late:
receivers are idempotent, senders have deadlines.
"""

import string
from collections.abc import Awaitable, Callable
from functools import lru_cache
from types import TracebackType
from typing import Protocol, Self

Handler = Callable[[str, bytes], Awaitable[bytes]]
"""Receives the subject and the payload of a message and returns the payload of the reply.  It must not raise: errors
are encoded in the reply (see kilonova.rpc.wire)."""


PING_S = 2.0
USUAL_PAYLOAD = 1 << 20
"""The limit of one message, in bytes, of a NATS server with its default configuration."""
SMALL_PAYLOAD = 256 << 10
"""A limit below this is too small for a server with much user data."""
_PLAIN = frozenset(string.ascii_letters + string.digits + "-_")


class Bus(Protocol):
    """Subjects are tokens separated by dots; in a subscription `*` matches exactly one token."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def max_payload(self) -> int:
        """The limit of one message, in bytes, as far as it is known now."""
        ...

    async def request(self, subject: str, payload: bytes, timeout_s: float) -> bytes:
        """Send and await one reply.

        Raises RpcTimeout (unknown whether it was handled), RpcUnavailable (no subscriber: not handled) or Forbidden
        (the credentials do not permit the subject: not handled).
        """
        ...

    async def publish(self, subject: str, payload: bytes) -> None:
        """Send without a reply; a missing subscriber is not an error."""
        ...

    async def subscribe(self, subject: str, handler: Handler, *, queue: str | None = None) -> None:
        """Call `handler` for each message until the bus is left.  One member of each `queue` receives a message."""
        ...


@lru_cache(4096)
def token(text: str) -> str:
    """`text` as one token of a subject.  Two texts never have the same token: all bytes except ASCII letters, digits,
    `-` and `_` are written as %xx."""
    return "".join(chr(byte) if chr(byte) in _PLAIN else f"%{byte:02x}" for byte in text.encode())


INBOXES = "_INBOX."
EVERY_INBOX = f"{INBOXES}>"


def inbox_prefix(identity: str) -> str:
    """The subject below which a process receives its replies."""
    return f"{INBOXES}{token(identity)}"


def ping_subject(identity: str) -> str:
    """The subject below which a process sends messages to itself."""
    return f"ping.{token(identity)}"


class SelfPing:
    """A message of a process to itself, over the bus and through its own event loop.  `process_id` tells processes of
    one name apart: several API processes of a machine may have it."""

    def __init__(self, bus: Bus, name: str, process_id: str) -> None:
        self._bus, self._subject = bus, f"{ping_subject(name)}.{token(process_id)}"

    async def listen(self) -> None:
        """Start to answer the pings."""
        await self._bus.subscribe(self._subject, self._echo)

    async def ping(self) -> None:
        """Send a ping and wait for its reply.  Raises RpcUnavailable, RpcTimeout."""
        await self._bus.request(self._subject, b"", PING_S)

    async def _echo(self, _subject: str, payload: bytes) -> bytes:
        return payload


@lru_cache(maxsize=4096)
def matches(pattern: str, subject: str) -> bool:
    """Whether a subscription's pattern matches a subject."""
    if pattern == subject:
        return True
    left, right = pattern.split("."), subject.split(".")
    return len(left) == len(right) and all(a in ("*", b) for a, b in zip(left, right, strict=True))
