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

log = structlog.get_logger(__name__)

Q = TypeVar("Q")
R = TypeVar("R")

Handle = Callable[[Any, str], Awaitable[Any]]


@dataclass
class Endpoint:
    """Handlers by method name.  A handler receives the request and the peer's name: the last token of the subject,
    which the peer's credentials pin."""

    handlers: dict[str, tuple[Method[Any, Any], Handle]] = field(default_factory=dict[str, Any])

    def on(self, method: Method[Q, R], handler: Callable[[Q, str], Awaitable[R]]) -> None:
        self.handlers[method.name] = (method, handler)

    async def handle(self, subject: str, payload: bytes) -> bytes:
        """Decode the request, run its handler within the caller's time limit, encode the reply or the error.  Raises
        nothing but cancellation."""
        name = "?"
        try:
            request = wire.decode_request(payload)
            name = request.method
            served = self.handlers.get(name)
            if served is None:
                raise InvalidInput(f"No such method here: {name}.", method=name)
            method, handler = served
            argument = method.request_form.validate_json(request.body)
        except KilonovaError as exc:
            return wire.encode_error(exc)
        except (ValidationError, ValueError, KeyError) as exc:
            log.exception("malformed request", method=name)
            why = reason(exc) if isinstance(exc, ValidationError) else type(exc).__name__
            return wire.encode_error(InvalidInput(f"Malformed request {name}: {why}."))
        with serving(request.request_id):
            return await _reply(method, handler, argument, subject.rpartition(".")[2], request.timeout_s)


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
