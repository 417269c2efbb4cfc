# SPDX-License-Identifier: Apache-2.0
"""The client end of RPC methods.

await caller.call(CREATE_FLAVOR, PutFlavor(flavor))
await caller.call(CONSOLE_OUTPUT, ConsoleOutput(instance_id), host)
"""

from typing import Any, TypeVar

import structlog
from pydantic import ValidationError

from kilonova import CODE_VERSION
from kilonova.base.backoff import Backoff, Pauses
from kilonova.base.clock import Clock
from kilonova.base.context import CHANGED, REQUEST_ID
from kilonova.base.errors import (
    DatabaseLocked,
    InvalidInput,
    KilonovaError,
    Overloaded,
    RequestOutcomeUnknown,
    RpcTimeout,
    RpcUnavailable,
)
from kilonova.objects.ids import HostName
from kilonova.rpc import wire
from kilonova.rpc.bus import Bus
from kilonova.rpcapi.batch import reason
from kilonova.rpcapi.method import ANY_CALL, Method
from kilonova.rpcapi.versions import ConductorVersion, as_unknown_method

log = structlog.get_logger(__name__)

Q = TypeVar("Q")
R = TypeVar("R")

RETRY = Backoff(0.1, 2.0, jitter=(0.5, 1.0))
"""Between two attempts of one call: a short failure costs little, and many waiting callers do not overload the bus."""
LEAST_S = 0.01
"""The shortest time limit of an attempt: a pause in a busy process may end after the deadline."""
UNSENT_S = 0.4
"""The longest pause after an attempt that was not sent, or that nobody serves: it costs little, and the bus may be back
at any moment."""

EARLIER = "An earlier attempt of this request had no reply, and may still be carried out."


class Caller:
    """Calls methods over a bus."""

    def __init__(self, bus: Bus, clock: Clock, conductors: ConductorVersion | None = None) -> None:
        """`conductors`: None where caller and conductor are one process."""
        self._bus, self._clock = bus, clock
        self.conductors = conductors or ConductorVersion(CODE_VERSION)

    async def call(self, method: Method[Q, R], request: Q, peer: str = "") -> R:
        """The reply; raises the error that the server sent.

        When the method's time is over: RpcTimeout for a method that only reads; for a method that changes something,
        RequestOutcomeUnknown if any attempt may have arrived.  RpcUnavailable, DatabaseUnavailable and Overloaded mean
        that nothing was done, and nothing will be.  NotInThisVersion is a RpcUnavailable: a conductor is older than the
        method, and other conductors were tried within the method's time.
        """
        self.conductors.check(method)
        subject = method.subject_of(peer)
        body = method.request_form.dump_json(request)
        deadline = self._clock.monotonic() + method.timeout_s
        pauses, unknown = RETRY.start(self._clock), False
        while True:
            left = max(LEAST_S, deadline - self._clock.monotonic())
            patience = min(left, method.attempt_s) if method.idempotent else left
            try:
                payload = wire.encode_request(wire.Request(method.name, CODE_VERSION, patience, body, REQUEST_ID.get()))
                reply = _read(method, subject, await self._bus.request(subject, payload, patience))
            except ANY_CALL as exc:
                unknown = unknown or isinstance(exc, RpcTimeout)
                pause = _pause(exc, pauses)
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

    async def cast(self, method: Method[Q, Any], request: Q, peer: str = "") -> None:
        """Send and do not wait: only for hints whose loss does no harm.  Raises NotInThisVersion."""
        self.conductors.check(method)
        body = method.request_form.dump_json(request)
        await self._bus.publish(
            method.subject_of(peer),
            wire.encode_request(wire.Request(method.name, CODE_VERSION, method.timeout_s, body, REQUEST_ID.get())),
        )


class HostCaller:
    """Calls the conductor on behalf of one host, whose name is in the subject."""

    def __init__(self, caller: Caller, host: HostName) -> None:
        self._caller, self.host = caller, host
        self.conductors = caller.conductors

    async def call(self, method: Method[Q, R], request: Q) -> R:
        """See `Caller.call`."""
        return await self._caller.call(method, request, self.host)

    async def cast(self, method: Method[Q, Any], request: Q) -> None:
        """See `Caller.cast`."""
        await self._caller.cast(method, request, self.host)


def _read(method: Method[Any, R], subject: str, payload: bytes) -> R:
    """The reply.  Raises the error that the server sent, RpcTimeout for a reply that cannot be read."""
    try:
        return method.reply_form.validate_json(wire.decode_reply(payload))
    except InvalidInput as exc:
        raise as_unknown_method(exc, method) from exc
    except ValueError as exc:
        error = reason(exc) if isinstance(exc, ValidationError) else str(exc)
        log.warning("a reply cannot be read", method=method.name, subject=subject, error=error)
        raise RpcTimeout(f"{subject} sent a reply to {method.name} that cannot be read.", subject=subject) from None


def _pause(exc: KilonovaError, pauses: Pauses) -> float:
    pause = pauses.next_s()
    return min(pause, UNSENT_S) if isinstance(exc, RpcUnavailable) else pause


def _may_be_sent_again(method: Method[Any, Any], exc: KilonovaError, left_s: float) -> bool:
    if not method.idempotent:
        return False
    if isinstance(exc, DatabaseLocked):  # an attempt that is cut short would end without a reply
        return left_s >= method.attempt_s
    return left_s > 0 and isinstance(exc, RpcTimeout | RpcUnavailable | Overloaded)


def _verdict(method: Method[Any, Any], exc: KilonovaError, *, unknown: bool) -> KilonovaError:
    """The error of the whole call, from the last error: an earlier attempt may have arrived, and may still be carried
    out."""
    if not unknown or isinstance(exc, RequestOutcomeUnknown):
        return exc
    kind = RequestOutcomeUnknown if method.changes else RpcTimeout
    return kind(exc.message if isinstance(exc, RpcTimeout) else f"An earlier attempt had no reply. {exc.message}")
