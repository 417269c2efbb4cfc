# SPDX-License-Identifier: Apache-2.0
"""A plain HTTP client on one kept connection: cheap, so that watching the service costs little."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.figures import CannotMeasure

IDLE_S = 2.0
"""A connection that rested longer is opened anew: the server closes them after a while."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Headers by lower-case name."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    def json(self) -> Any:
        return json.loads(self.data)


class Web:
    """Requests to 127.0.0.1:`port` at one microversion, one after another; `timeout_s` bounds each.  `headers` are sent
    with all of them."""

    def __init__(self, port: int, token: str = "", timeout_s: float = 60.0, version: str = "2.90") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        self._used = time.monotonic()
        self.headers: dict[str, str] = (
            {"X-Auth-Token": token, "OpenStack-API-Version": f"compute {version}"} if token else {}
        )

    def __call__(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Answer:
        """One request; `body` is bytes as they are, or anything else as JSON.  Raises OSError without an answer."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = self.headers if data is None else {**self.headers, "Content-Type": content_type}
        if time.monotonic() - self._used > IDLE_S:
            self._connection.close()
        try:
            self._connection.request(method, path, data, headers)
            reply = self._connection.getresponse()
            fields = {name.lower(): value for name, value in reply.getheaders()}
            answer = Answer(reply.status, fields, reply.read())
            self._used = time.monotonic()
            return answer
        except (OSError, http.client.HTTPException) as exc:
            self._connection.close()
            if isinstance(exc, OSError):
                raise
            raise OSError(str(exc)) from exc

    def expect(self, status: int, method: str, path: str, body: Any = None, **how: str) -> Answer:
        """The same, when only one status will do.  Raises CannotMeasure."""
        answer = self(method, path, body, **how)
        if answer.status != status:
            text = answer.data[:200].decode(errors="replace")
            raise CannotMeasure(f"{method} {path} was answered {answer.status}: {text}")
        return answer

    def close(self) -> None:
        self._connection.close()
