# SPDX-License-Identifier: Apache-2.0
"""The wire form of requests and replies.

A request is a head and a body, separated by a line feed.  The head is a JSON object {"method", "version", "timeout_s",
"request_id"}; the body is the method's request as JSON.  `request_id` is absent when the call belongs to no request.

A reply is "+" and the method's reply as JSON, or "-" and a JSON object {"code", "message", "details"}: an error of
kilonova.base.errors.  Unknown members are ignored, so that fields can be added.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from kilonova.base import errors

_REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Request:
    """`timeout_s` is how long the caller waits: the handler may stop then.  `body` is JSON."""

    method: str
    version: int
    timeout_s: float
    body: bytes
    request_id: str = ""


def encode_request(request: Request) -> bytes:
    head: dict[str, Any] = {"method": request.method, "version": request.version, "timeout_s": request.timeout_s}
    if request.request_id:
        head["request_id"] = request.request_id
    return json.dumps(head).encode() + b"\n" + request.body


def decode_request(payload: bytes) -> Request:
    """Decode a request.  Raises ValueError or KeyError for a malformed one.  A malformed request id is dropped: ids are
    written to the log."""
    head_bytes, _, body = payload.partition(b"\n")
    head = json.loads(head_bytes)
    request_id = head.get("request_id")
    if not isinstance(request_id, str) or not _REQUEST_ID.fullmatch(request_id):
        request_id = ""
    return Request(str(head["method"]), int(head["version"]), float(head["timeout_s"]), body, request_id)


def encode_reply(body: bytes) -> bytes:
    return b"+" + body


def encode_error(error: errors.KilonovaError) -> bytes:
    fields = {"code": error.code, "message": error.message, "details": dict(error.details)}
    return b"-" + json.dumps(fields, default=str).encode()


def decode_reply(payload: bytes) -> bytes:
    """The body of a reply; raises the error that the peer sent."""
    if payload[:1] == b"+":
        return payload[1:]
    fields: dict[str, Any] = json.loads(payload[1:])
    raise errors.from_wire(fields["code"], fields["message"], fields.get("details", {}))
