# SPDX-License-Identifier: Apache-2.0
"""The wire form of requests and replies.

A request is a head and a body, separated by a line feed.  The head is a JSON object {"method", "version", "timeout_s",
"request_id"}; the body is the method's request as JSON.  `request_id` is absent when the call belongs to no request.

A reply is "+" and the method's reply as JSON, or "-" and a JSON object {"code", "message", "details"}: an error of
kilonova.base.errors.  Unknown members are ignored, so that fields can be added.
"""

import json
import re
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from kilonova.base import errors

HEAD_BYTES = 4096
LONGEST_S = sys.float_info.max
"""JSON has larger integers, which are no float."""
_TAKEN = frozenset({"self", "message", "code"})
"""Names that the details of an error cannot have: they are parameters of its class."""
_METHOD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)


class Request(NamedTuple):
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
    return to_json(head) + b"\n" + request.body


def decode_request(payload: bytes) -> Request:
    """Decode a request.  Raises ValueError for a malformed one, whatever its bytes are.  A malformed request id is
    dropped: ids are written to the log."""
    head_bytes, _, body = payload.partition(b"\n")
    if len(head_bytes) > HEAD_BYTES:
        raise ValueError("its head is too long")
    head = _object(head_bytes)
    method, version, timeout_s = head.get("method"), head.get("version"), head.get("timeout_s")
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise ValueError("its method has no name")
    if not isinstance(version, int) or not isinstance(timeout_s, int | float) or not 0 < timeout_s <= LONGEST_S:
        raise ValueError("its version or its time limit is not a number")
    request_id = head.get("request_id")
    if not isinstance(request_id, str) or not _REQUEST_ID.fullmatch(request_id):
        request_id = ""
    return Request(method, version, float(timeout_s), body, request_id)


def _object(text: bytes) -> Mapping[str, Any]:
    try:
        found = from_json(text)
    except ValueError as exc:
        raise ValueError("it is not JSON") from exc
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")
    return found


def encode_reply(body: bytes) -> bytes:
    return b"+" + body


def encode_error(error: errors.KilonovaError) -> bytes:
    fields = {"code": error.code, "message": error.message, "details": dict(error.details)}
    return b"-" + json.dumps(fields, default=str).encode()


def decode_reply(payload: bytes) -> bytes:
    """The body of a reply; raises the error that the peer sent.  Raises ValueError for a malformed one."""
    if payload[:1] == b"+":
        return payload[1:]
    if payload[:1] != b"-":
        raise ValueError("it is neither a result nor an error")
    fields = _object(payload[1:])
    code, message, details = fields.get("code"), fields.get("message"), fields.get("details", {})
    if not isinstance(code, str) or not isinstance(message, str) or not isinstance(details, dict):
        raise ValueError("its error has no code or no message")
    raise errors.from_wire(code, message, {name: value for name, value in details.items() if name not in _TAKEN})
