# SPDX-License-Identifier: Apache-2.0
"""Errors as HTTP answers.

Source: Compute API reference, "Faults"; Identity's and Network's own forms differ in their one key.
"""

from collections.abc import Mapping

import structlog
from pydantic_core import to_json

from kilonova.base import errors

log = structlog.get_logger(__name__)

_STATUS: Mapping[type[errors.KilonovaError], int] = {
    errors.InvalidInput: 400,
    errors.ImageUnacceptable: 400,
    errors.NoValidHost: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.OverQuota: 403,
    errors.NotFound: 404,
    errors.NotAcceptable: 406,
    errors.Conflict: 409,
    errors.InvalidState: 409,
    errors.IdempotencyKeyReused: 422,
    errors.StaleWrite: 409,
    errors.TooLarge: 413,
    errors.NotSupported: 501,
    errors.Overloaded: 503,
    errors.HypervisorUnavailable: 503,
    errors.OutcomeUnknown: 503,
    errors.NativeCallTimeout: 503,
    errors.RpcTimeout: 503,
    errors.RpcUnavailable: 503,
    errors.NotInThisVersion: 503,
    errors.IncompatibleVersion: 503,
    errors.DeadlineExceeded: 503,
    errors.DatabaseUnavailable: 503,
    errors.DatabaseLocked: 503,
    errors.StorageFull: 503,
    errors.ImageUnavailable: 503,
    errors.RequestOutcomeUnknown: 504,
}

_KEY: Mapping[int, str] = {
    400: "badRequest",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    501: "notImplemented",
    503: "serviceUnavailable",
}

_OTHERS = "computeFault"

KEYS = (*_KEY.values(), _OTHERS)
"""Every key that a fault of Compute or Image can have."""

_TITLE: Mapping[int, str] = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}

RETRY_AFTER_S = 2
_RETRY = (("Retry-After", str(RETRY_AFTER_S)),)


class HttpError(Exception):
    """An HTTP error without another class: a method that a path does not have, a feature that is not implemented."""

    def __init__(self, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers


def not_implemented(message: str) -> HttpError:
    """501: the API has the feature, this service does not."""
    return HttpError(501, message)


def status_of(exc: errors.KilonovaError) -> int:
    """The HTTP status of an error; 500 for an error that the caller cannot correct."""
    return _STATUS.get(type(exc), 500)


def fault(status: int, message: str, *, identity: bool = False, network: bool = False) -> bytes:
    """The body of a fault: one key that names its kind, with code and message."""
    if identity or status == 401:
        title = _TITLE.get(status, "Internal Server Error")
        return to_json({"error": {"code": status, "title": title, "message": message}})
    if network:
        kind = _TITLE.get(status, "Internal Server Error").replace(" ", "")
        return to_json({"NeutronError": {"type": kind, "message": message, "detail": ""}})
    return to_json({_KEY.get(status, _OTHERS): {"code": status, "message": message}})


def _placed(exc: errors.KilonovaError) -> str:
    """The message, with the path of the field or argument unless the message contains it."""
    path = exc.details.get("path")
    if not path or str(path) in exc.message:
        return exc.message
    return f"Invalid input for field/attribute {path}. {exc.message}"


def answer(exc: Exception, request_id: str, *, repeatable: bool = True) -> tuple[int, str, tuple[tuple[str, str], ...]]:
    """Status, message and headers for an exception.  An unexpected exception is logged, and the answer contains only
    its request id.  `repeatable`: the client can send the request again even if it was carried out."""
    if isinstance(exc, HttpError):
        return exc.status, exc.message, exc.headers
    if isinstance(exc, errors.KilonovaError):
        status = status_of(exc)
        if isinstance(exc, errors.Overloaded):  # counted where it is raised: one line for each would be too many
            return status, exc.message, (("Retry-After", str(RETRY_AFTER_S)),)
        if status == 503:
            log.warning("request failed for now", request_id=request_id, code=exc.code, error=exc.message)
            return status, exc.message, _RETRY
        if isinstance(exc, errors.RequestOutcomeUnknown):
            log.warning("a request's outcome is unknown", request_id=request_id, error=exc.message)
            unknown = f"The request {request_id} may have been carried out, or may be yet. {exc.message}"
            return status, unknown, _RETRY if repeatable else ()
        if status != 500:
            return status, _placed(exc), ()
        log.error("request failed", request_id=request_id, code=exc.code, error=exc.message)
    else:
        log.error("request failed unexpectedly", request_id=request_id, exc_info=exc)
    return 500, f"Unexpected error. The service's log has the reason under {request_id}.", ()
