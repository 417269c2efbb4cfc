# SPDX-License-Identifier: Apache-2.0
"""The server end of RPC methods."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError

from kilonova.base.context import serving
from kilonova.base.errors import InvalidInput, KilonovaError, RpcTimeout
from kilonova.rpc import wire
from kilonova.rpcapi.batch import reason
from kilonova.rpcapi.method import Method
from kilonova.rpcapi.versions import check_window, not_here, parties

log = structlog.get_logger(__name__)

Q = TypeVar("Q")
R = TypeVar("R")

LOGGED = 1000
"""How many different refusals one endpoint logs."""

Handle = Callable[[Any, str], Awaitable[Any]]


@dataclass
class Endpoint:
    """Handlers by method name.  A handler receives the request and the peer's name: the last token of the subject,
    which the peer's credentials pin."""

    handlers: dict[str, tuple[Method[Any, Any], Handle]] = field(default_factory=dict[str, Any])
    logged: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def on(self, method: Method[Q, R], handler: Callable[[Q, str], Awaitable[R]]) -> None:
        self.handlers[method.name] = (method, handler)

    async def handle(self, subject: str, payload: bytes) -> bytes:
        """Decode the request, run its handler within the caller's time limit, encode the reply or the error.  Raises
        nothing but cancellation."""
        name = "?"
        try:
            request = wire.decode_request(payload)
            name = request.method
            check_window(request.version, *parties(subject))
            served = self.handlers.get(name)
            if served is None:
                raise not_here(subject, name)
            method, handler = served
            argument = method.request_form.validate_json(request.body)
        except KilonovaError as exc:
            self._log_once(subject, exc)
            return wire.encode_error(exc)
        except (ValidationError, ValueError, KeyError) as exc:
            log.exception("malformed request", method=name)
            why = reason(exc) if isinstance(exc, ValidationError) else type(exc).__name__
            return wire.encode_error(InvalidInput(f"Malformed request {name}: {why}."))
        with serving(request.request_id):
            return await _reply(method, handler, argument, subject.rpartition(".")[2], request.timeout_s)

    def _log_once(self, subject: str, exc: KilonovaError) -> None:
        """A peer of another version repeats its request: log each refusal once."""
        if (subject, exc.message) not in self.logged and len(self.logged) < LOGGED:
            self.logged.add((subject, exc.message))
            log.warning("a request was refused", subject=subject, error=exc.message)


async def _reply(method: Method[Any, Any], handler: Handle, argument: Any, peer: str, timeout_s: float) -> bytes:
    name = method.name
    try:
        async with asyncio.timeout(timeout_s):
            reply = await handler(argument, peer)
        return wire.encode_reply(method.reply_form.dump_json(reply))
    except KilonovaError as exc:
        if not method.declares(exc):
            log.warning("the method does not declare this error", method=name, code=exc.code)
        return wire.encode_error(exc)
    except TimeoutError:
        return wire.encode_error(RpcTimeout(f"{name} took longer than its caller waits."))
    except Exception as exc:
        log.exception("request failed", method=name)
        return wire.encode_error(KilonovaError(f"{name} failed: {type(exc).__name__}."))
