# SPDX-License-Identifier: Apache-2.0
"""A process that is not complete answers with the reason, and lets every request through afterwards."""

import httpx
from starlette.types import Receive, Scope, Send

from kilonova.api.http.start_gate import Start, StartGate
from tests.make import run


async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_until_the_start_is_complete_only_the_health_page_is_served() -> None:
    async def story() -> None:
        start = Start("It waits for the database.")
        transport = httpx.ASGITransport(app=StartGate(application, start))
        async with httpx.AsyncClient(transport=transport, base_url="http://h") as http:
            assert (await http.get("/healthz")).status_code == 204
            refused = await http.post("/compute/v2.1/servers", json={})
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
            assert refused.json() == {"serviceUnavailable": {"code": 503, "message": "It waits for the database."}}
            start.reason = ""
            assert (await http.post("/compute/v2.1/servers", json={})).status_code == 204

    run(story())


def test_a_websocket_is_closed_with_the_reason() -> None:
    async def story() -> None:
        sent = []

        async def receive() -> dict[str, str]:
            return {"type": "websocket.connect"}

        async def send(message: object) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/console/serial/1", "headers": []}
        await StartGate(application, Start("It waits."))(scope, receive, send)
        (message,) = sent
        assert (message["type"], message["code"], message["reason"]) == ("websocket.close", 1013, "It waits.")

    run(story())
