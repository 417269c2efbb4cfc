# SPDX-License-Identifier: Apache-2.0
"""An application with failpoints: a request that may change something has arrived, and its reply is about to leave."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kilonova.base.failpoints import Failpoints

BEGIN, REPLY = "http.begin", "http.reply"
NAMES = frozenset({BEGIN, REPLY})
READS = frozenset({"GET", "HEAD", "OPTIONS"})


class BreakableApp:
    """An application on another one."""

    def __init__(self, app: ASGIApp, failpoints: Failpoints) -> None:
        self._app, self._failpoints = app, failpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READS:
            await self._app(scope, receive, send)
            return

        async def reply(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._failpoints.hit(REPLY)
            await send(message)

        self._failpoints.hit(BEGIN)
        await self._app(scope, receive, reply)


def breakable_app(app: ASGIApp, failpoints: Failpoints) -> ASGIApp:
    """The application, with the failpoints of requests if any may fire."""
    return BreakableApp(app, failpoints) if failpoints.is_active else app
