# SPDX-License-Identifier: Apache-2.0
"""The wire form of requests and replies: JSON envelopes.

A request is {"method", "version", "request_id", "timeout_s", "body"}; a reply {"body"} or {"error": {code, message,
details}}.  Unknown members are ignored, so that fields can be added.
"""

import json
from dataclasses import dataclass
from typing import Any

from kilonova.base import errors


@dataclass(frozen=True, slots=True)
class Request:
    """`timeout_s` is how long the sender will wait: the handler need not go on for longer.  `body` is JSON."""

    method: str
    version: int
    timeout_s: float
    body: bytes


def encode_request(request: Request) -> bytes:
    head = json.dumps({"method": request.method, "version": request.version, "timeout_s": request.timeout_s})
    return head.encode() + b"\n" + request.body


def decode_request(payload: bytes) -> Request:
    """Raises ValueError or KeyError for what is no request."""
    head_bytes, _, body = payload.partition(b"\n")
    head = json.loads(head_bytes)
    return Request(str(head["method"]), int(head["version"]), float(head["timeout_s"]), body)


def encode_reply(body: bytes) -> bytes:
    return b"+" + body


def encode_error(error: errors.KilonovaError) -> bytes:
    fields = {"code": error.code, "message": error.message, "details": dict(error.details)}
    return b"-" + json.dumps(fields, default=str).encode()


def decode_reply(payload: bytes) -> bytes:
    """The body of a good reply; raises the error that the peer sent."""
    if payload[:1] == b"+":
        return payload[1:]
    fields: dict[str, Any] = json.loads(payload[1:])
    raise errors.from_wire(fields["code"], fields["message"], fields.get("details", {}))
