# SPDX-License-Identifier: Apache-2.0
"""A client of an ASGI application in the same interpreter: a tenth of the CPU time of a general one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer.  Names of headers are in lower case."""

    code: int
    headers: Mapping[str, str]
    data: bytes

    @property
    def body(self) -> Any:
        """The JSON value; None if the answer has another form."""
        kind = self.headers.get("content-type", "")
        return json.loads(self.data) if self.data and kind.startswith("application/json") else None


async def send(app: Any, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Reply:
    """Send a request; `body` is a JSON value, or the bytes of a file."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
    sent = {"host": "sim", "content-type": kind, "content-length": str(len(raw)), **headers}
    where, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": where,
        "raw_path": where.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("sim", 80),
    }
    events: list[Mapping[str, Any]] = [{"type": "http.request", "body": raw, "more_body": False}]
    answered: list[Mapping[str, Any]] = []

    async def receive() -> Mapping[str, Any]:
        return events.pop() if events else {"type": "http.disconnect"}

    async def answer(event: Mapping[str, Any]) -> None:
        answered.append(event)

    await app(scope, receive, answer)
    start = answered[0]
    return Reply(
        start["status"],
        {name.decode().lower(): value.decode() for name, value in start["headers"]},
        b"".join(event.get("body", b"") for event in answered[1:]),
    )
