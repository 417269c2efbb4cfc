# SPDX-License-Identifier: Apache-2.0
"""The server end of RPC methods."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError

from kilonova.base.context import serving
from kilonova.base.errors import (
    Forbidden,
    IncompatibleVersion,
    InvalidInput,
    KilonovaError,
    NotInThisVersion,
    RpcTimeout,
    StaleWrite,
)
from kilonova.rpc import wire
from kilonova.rpcapi.batch import reason
from kilonova.rpcapi.guard import BUSY, Guard
from kilonova.rpcapi.method import Method
from kilonova.rpcapi.versions import check_window, not_here, parties, works_with

log = structlog.get_logger(__name__)

Q = TypeVar("Q")
R = TypeVar("R")

Handle = Callable[[Any, str], Awaitable[Any]]

MALFORMED = "malformed"


NOT_ITS_OWN = (Forbidden, StaleWrite)
"""Errors that count as refused messages: the peer speaks about what is not its own, or not its own any more."""


@dataclass
class Endpoint:
    """Handlers by method name.  A handler receives the request and the peer's name: the last token of the subject,
    which the peer's credentials pin."""

    guard: Guard | None = None
    handlers: dict[str, tuple[Method[Any, Any], Handle]] = field(default_factory=dict[str, Any])

    def on(self, method: Method[Q, R], handler: Callable[[Q, str], Awaitable[R]]) -> None:
        self.handlers[method.name] = (method, handler)

    async def handle(self, subject: str, payload: bytes) -> bytes:
        """Decode the request, run its handler within the caller's time limit, encode the reply or the error.  Raises
        nothing but cancellation."""
        peer = subject.rpartition(".")[2]
        if self.guard is not None and not self.guard.admits(peer):
            return BUSY_REPLY
        try:
            request = wire.decode_request(payload)
        except ValueError as exc:
            return self._malformed(peer, f"Malformed request: {exc}.")
        try:
            method, handler = self._served(subject, request)
        except KilonovaError as exc:
            self._refused(peer, exc.code, exc.message)
            return wire.encode_error(exc)
        try:
            argument = method.request_form.validate_json(request.body)
        except ValidationError as exc:
            return self._malformed(peer, f"Malformed request {method.name}: {reason(exc)}.")
        with serving(request.request_id):
            return await self._reply(
                method, partial(handler, argument, peer), peer, min(request.timeout_s, method.timeout_s)
            )

    def _served(self, subject: str, request: wire.Request) -> tuple[Method[Any, Any], Handle]:
        """Raises IncompatibleVersion, NotInThisVersion."""
        if not works_with(request.version):
            check_window(request.version, *parties(subject))
        served = self.handlers.get(request.method)
        if served is None:
            raise not_here(subject, request.method)
        return served

    def _malformed(self, peer: str, message: str) -> bytes:
        self._refused(peer, MALFORMED, message)
        return wire.encode_error(InvalidInput(message))

    def _refused(self, peer: str, kind: str, message: str) -> None:
        if self.guard is not None:
            self.guard.refused(peer, kind, message)
        elif kind in (MALFORMED, NotInThisVersion.code, IncompatibleVersion.code):
            log.warning("a message was refused", peer=peer[:64], reason=kind, error=message)

    async def _reply(
        self, method: Method[Any, Any], work: Callable[[], Awaitable[Any]], peer: str, limit_s: float
    ) -> bytes:
        name = method.name
        try:
            async with asyncio.timeout(limit_s):
                async with nullcontext() if self.guard is None else self.guard.turn(peer):
                    reply = await work()
            return wire.encode_reply(method.reply_form.dump_json(reply))
        except KilonovaError as exc:
            if isinstance(exc, NOT_ITS_OWN):
                self._refused(peer, exc.code, f"{name}: {exc.message}")
            if not method.declares(exc):
                log.warning("the method does not declare this error", method=name, code=exc.code)
            return wire.encode_error(exc)
        except TimeoutError:
            return wire.encode_error(RpcTimeout(f"{name} took longer than its caller waits."))
        except Exception as exc:
            if self.guard is None or self.guard.may_log(peer, f"failed {name}"):
                log.exception("request failed", method=name)
            return wire.encode_error(KilonovaError(f"{name} failed: {type(exc).__name__}."))


BUSY_REPLY = wire.encode_error(BUSY)
