# SPDX-License-Identifier: Apache-2.0
"""Answers for the application of a process that is not complete yet.

An API process of a fleet starts before its database has tables, or while the database is away.  It listens at once: a
balancer receives 503 instead of no answer, and the process does not end and start again.
"""

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from kilonova.api.http.call import JSON
from kilonova.api.http.faults import RETRY_AFTER_S, fault

HEALTH = "/healthz"


@dataclass(slots=True)
class Start:
    """The progress of a start: `reason` is what the process waits for, in one sentence; empty when it is complete."""

    reason: str


class StartGate:
    """`app` behind a gate that answers 503 with the reason of `start` until the start is complete.  /healthz passes."""

    def __init__(self, app: ASGIApp, start: Start) -> None:
        self._app, self._start = app, start

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reason = self._start.reason
        if not reason or scope["type"] == "lifespan" or scope["path"] == HEALTH:
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1013, "reason": reason[:100]})
            return
        body = fault(503, reason)
        headers = [
            (b"content-type", JSON.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", str(RETRY_AFTER_S).encode()),
        ]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": body})
