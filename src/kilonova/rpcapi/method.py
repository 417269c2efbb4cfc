# SPDX-License-Identifier: Apache-2.0
"""What a row is, and the two ends made of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Generic, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from kilonova import CODE_VERSION
from kilonova.base.clock import Clock
from kilonova.base.context import CHANGED
from kilonova.base.errors import (
    DatabaseLocked,
    DatabaseUnavailable,
    InvalidInput,
    KilonovaError,
    RequestOutcomeUnknown,
    RpcTimeout,
    RpcUnavailable,
)
from kilonova.rpc import wire
from kilonova.rpc.bus import Bus

log = structlog.get_logger(__name__)

Q = TypeVar("Q")
R = TypeVar("R")
T = TypeVar("T")

PAUSE_FIRST_S = 0.1
PAUSE_MOST_S = 2.0
"""Between two attempts of one call: a hiccup costs little, and a fleet that waits does not hammer."""


EARLIER = "An earlier attempt of this request had no reply, and may still be carried out."


class Kind(Enum):
    """CALL awaits a reply; CAST does not, and may be lost."""

    CALL = "call"
    CAST = "cast"


@dataclass(frozen=True)
class Method(Generic[Q, R]):
    """One row: `timeout_s` is the caller's whole patience; an `idempotent` call is sent again, every `attempt_s`,
    until it is over.  `changes`: False for a row that only reads."""

    name: str
    request: type[Q]
    reply: type[R]
    doc: str
    kind: Kind = Kind.CALL
    timeout_s: float = 20.0
    attempt_s: float = 5.0
    idempotent: bool = True
    changes: bool = True
    since: int = 1

    @cached_property
    def request_form(self) -> TypeAdapter[Q]:
        return TypeAdapter(self.request)

    @cached_property
    def reply_form(self) -> TypeAdapter[R]:
        return TypeAdapter(self.reply)


@dataclass(frozen=True, slots=True)
class Ack:
    """A reply that says only: done."""


REPLY_BYTES = 512 << 10
"""Of records in one reply: half of what a NATS server takes in one message unless it was told otherwise."""


def fitting(records: Iterable[T], encode: Callable[[T], bytes]) -> Iterator[T]:
    """As many of the first as one reply takes; one in any case.  Takes no more of `records` than one beyond them."""
    taken = 0
    for record in records:
        size = len(encode(record))
        if taken and taken + size > REPLY_BYTES:
            return
        taken += size
        yield record


class Caller:
    """Sends rows to a subject."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus, self._clock = bus, clock

    async def call(self, subject: str, method: Method[Q, R], request: Q) -> R:
        """The reply, or the error that the peer sent; when the row's time is over, RpcTimeout for a row that reads, and
        for one that changes something RequestOutcomeUnknown, if any attempt may have arrived.  RpcUnavailable and
        DatabaseUnavailable mean that nothing was done, and nothing will be."""
        body = method.request_form.dump_json(request)
        deadline = self._clock.monotonic() + method.timeout_s
        most, unknown = PAUSE_FIRST_S, False
        while True:
            left = deadline - self._clock.monotonic()
            patience = min(left, method.attempt_s) if method.idempotent else left
            try:
                payload = wire.encode_request(wire.Request(method.name, CODE_VERSION, patience, body))
                reply = method.reply_form.validate_json(
                    wire.decode_reply(await self._bus.request(subject, payload, patience))
                )
            except (RpcTimeout, RpcUnavailable, DatabaseUnavailable) as exc:
                unknown = unknown or isinstance(exc, RpcTimeout)
                pause = most * self._clock.random.uniform(0.5, 1.0)
                most = min(most * 2, PAUSE_MOST_S)
                if not _may_be_sent_again(method, exc, deadline - self._clock.monotonic() - pause):
                    raise _verdict(method, exc, unknown=unknown) from exc
                await self._clock.sleep(pause)
            except KilonovaError as exc:
                if unknown:  # the refusal is of this attempt only
                    raise type(exc)(f"{exc.message} {EARLIER}", **exc.details) from exc
                raise
            else:
                if method.changes and (changed := CHANGED.get(None)) is not None:
                    changed.append(method.name)
                return reply

    async def cast(self, subject: str, method: Method[Q, Any], request: Q) -> None:
        """Send and forget: only for hints whose loss is made good elsewhere."""
        body = method.request_form.dump_json(request)
        await self._bus.publish(
            subject, wire.encode_request(wire.Request(method.name, CODE_VERSION, method.timeout_s, body))
        )


def _may_be_sent_again(method: Method[Any, Any], exc: KilonovaError, left_s: float) -> bool:
    if not method.idempotent:
        return False
    if isinstance(exc, DatabaseLocked):  # an attempt that is cut short would end without an answer
        return left_s >= method.attempt_s
    return left_s > 0 and isinstance(exc, RpcTimeout | RpcUnavailable)


def _verdict(method: Method[Any, Any], exc: KilonovaError, *, unknown: bool) -> KilonovaError:
    """What the last error means for the whole call: an attempt before it may have arrived, and may happen yet."""
    if not unknown or isinstance(exc, RequestOutcomeUnknown):
        return exc
    kind = RequestOutcomeUnknown if method.changes else RpcTimeout
    return kind(exc.message if isinstance(exc, RpcTimeout) else f"An earlier attempt had no reply. {exc.message}")


Handle = Callable[[Any, str], Awaitable[Any]]


@dataclass
class Endpoint:
    """The serving end: handlers by method name.  A handler gets the request and the peer's name (the last token of
    the subject that it was sent to, which the peer's credentials pin)."""

    handlers: dict[str, tuple[Method[Any, Any], Handle]] = field(default_factory=dict[str, Any])

    def on(self, method: Method[Q, R], handler: Callable[[Q, str], Awaitable[R]]) -> None:
        self.handlers[method.name] = (method, handler)

    async def handle(self, subject: str, payload: bytes) -> bytes:
        """Decode, run within the sender's patience, encode.  Never raises but for cancellation."""
        name = "?"
        try:
            request = wire.decode_request(payload)
            name = request.method
            row = self.handlers.get(name)
            if row is None:
                raise InvalidInput(f"No such method here: {name}.", method=name)
            method, handler = row
            asked = method.request_form.validate_json(request.body)
        except KilonovaError as exc:
            return wire.encode_error(exc)
        except (ValidationError, ValueError, KeyError) as exc:
            log.exception("malformed request", method=name)
            return wire.encode_error(InvalidInput(f"Malformed request {name}: {type(exc).__name__}."))
        try:
            async with asyncio.timeout(request.timeout_s):
                reply = await handler(asked, subject.rpartition(".")[2])
            return wire.encode_reply(method.reply_form.dump_json(reply))
        except KilonovaError as exc:
            return wire.encode_error(exc)
        except TimeoutError:
            return wire.encode_error(RpcTimeout(f"{name} took longer than its caller waits."))
        except Exception as exc:
            log.exception("request failed", method=name)
            return wire.encode_error(KilonovaError(f"{name} failed: {type(exc).__name__}."))


Rows = Mapping[str, Method[Any, Any]]


def rows_of(module: Any) -> Rows:
    """The rows that a module declares, by name (for docs and tests)."""
    return {row.name: row for row in vars(module).values() if isinstance(row, Method)}
