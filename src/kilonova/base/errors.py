# SPDX-License-Identifier: Apache-2.0
"""All errors, in one tree.

Each class has a stable `code` (for programs: it crosses the bus and appears in logs), a sentence for people, and
`retryable`: whether the same request, sent again unchanged, may succeed, and `of_host`: whether the reason lies in the
host that did the work, so that another host may succeed.  Only `api` knows HTTP codes, only `rpc` knows the wire form.

KilonovaError
├── InvalidInput, TooLarge, NotFound, Conflict, InvalidState, Forbidden, OverQuota, Unauthorized, NotAcceptable
├── IdempotencyKeyReused, ImageUnacceptable, NoValidHost, Overloaded
├── HypervisorUnavailable, OutcomeUnknown, NativeCallTimeout
├── HypervisorError, NotSupported, GuestNotRunning, GuestStuck, DiskMoved, DiskUnusable
├── RpcTimeout, RequestOutcomeUnknown, RpcUnavailable, NotInThisVersion, IncompatibleVersion
├── StaleWrite, HostSuperseded, HostTaken, DeadlineExceeded
├── DatabaseUnavailable, DatabaseLocked, StorageFull, ImageUnavailable
└── ConfigError, DriverLoadError, StateError (DatabaseUnreadable)     (end a command with one sentence)
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class KilonovaError(Exception):
    """The base class of all Kilonova errors.

    `message` is one sentence for the caller, without secrets.  `details` are machine-readable, JSON-safe facts.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    of_host: ClassVar[bool] = False

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, Any] = details

    def __str__(self) -> str:
        return self.message


class InvalidInput(KilonovaError):
    """The request is invalid and can never succeed unchanged.  `details["path"]` is the field."""

    code = "invalid-input"


class TooLarge(KilonovaError):
    """A body, file or value is over its limit."""

    code = "too-large"


class NotFound(KilonovaError):
    """The resource does not exist, or the caller is not allowed to know that it exists."""

    code = "not-found"


class Conflict(KilonovaError):
    """A resource of that name or kind already exists, or is in use."""

    code = "conflict"


class IdempotencyKeyReused(KilonovaError):
    """The Idempotency-Key of the request was used for another request."""

    code = "idempotency-key-reused"


class InvalidState(KilonovaError):
    """The state of the instance does not allow this action now."""

    code = "invalid-state"
    retryable = True


class Forbidden(KilonovaError):
    """The caller is authenticated and not allowed to do this."""

    code = "forbidden"


class OverQuota(Forbidden):
    """The request exceeds the quota of the project; nothing was done."""

    code = "over-quota"


class Unauthorized(KilonovaError):
    """The token is missing or invalid, or the password is wrong."""

    code = "unauthorized"


class NotAcceptable(KilonovaError):
    """The service does not support the microversion."""

    code = "not-acceptable"


class ImageUnacceptable(KilonovaError):
    """The image does not have its declared format, or refers to another file."""

    code = "image-unacceptable"


class NoValidHost(KilonovaError):
    """No host is suitable for the instance; the message lists the hosts that each filter refused."""

    code = "no-valid-host"
    retryable = True


class Overloaded(KilonovaError):
    """The limit of concurrent requests of this kind is reached; nothing was started."""

    code = "overloaded"
    retryable = True


class HypervisorUnavailable(KilonovaError):
    """The hypervisor of `details["host"]` does not answer; the call may or may not have happened."""

    code = "hypervisor-unavailable"
    retryable = True
    of_host = True


class OutcomeUnknown(HypervisorUnavailable):
    """A call was started and interrupted, by a lost connection or its deadline: it may still happen."""

    code = "outcome-unknown"


class NativeCallTimeout(OutcomeUnknown):
    """A native call exceeded its deadline: it continues in its thread, with an unknown outcome until the next read."""

    code = "native-call-timeout"


class HypervisorError(KilonovaError):
    """The hypervisor refused the call (for example invalid XML or an unknown device): it did not happen."""

    code = "hypervisor-error"
    of_host = True


class NotSupported(HypervisorError):
    """The driver of the host does not support the operation: nothing was started."""

    code = "not-supported"


class GuestNotRunning(HypervisorError):
    """A guest was started without an error and does not run."""

    code = "guest-not-running"


class GuestStuck(HypervisorError):
    """The hypervisor can neither run nor stop the guest until an operator acts; the message says how."""

    code = "guest-stuck"


class DiskMoved(HypervisorError):
    """The guest's active disk is not the disk in the record: another tool has moved it.  Nothing was done."""

    code = "disk-moved"


class DiskUnusable(HypervisorError):
    """A file of the guest's disk is missing, unreadable, or has a forbidden reference.  Nothing was done."""

    code = "disk-unusable"


class RpcTimeout(KilonovaError):
    """No reply arrived in time: the request may or may not have happened."""

    code = "rpc-timeout"
    retryable = True
    of_host = True


class RequestOutcomeUnknown(RpcTimeout):
    """A request with an effect was sent and its outcome is unknown: it may have happened, or may still happen."""

    code = "request-outcome-unknown"
    retryable = False


class RpcUnavailable(KilonovaError):
    """No process serves the subject now: the request did not happen."""

    code = "rpc-unavailable"
    retryable = True
    of_host = True


class NotInThisVersion(RpcUnavailable):
    """The process that answers is older: it does not have the method, or a verb or a state in the request.  Nothing was
    done; a newer process can do it."""

    code = "not-in-this-version"


class IncompatibleVersion(RpcUnavailable):
    """The two processes differ by more than one code version.  Nothing was done."""

    code = "incompatible-version"


class StaleWrite(KilonovaError):
    """A report of an old attempt or host epoch: it is refused and changes nothing."""

    code = "stale-write"


class HostSuperseded(StaleWrite):
    """The host has a newer process than the caller: the caller changes nothing more, and ends."""

    code = "host-superseded"


class HostTaken(KilonovaError):
    """A process registers for a host that has another process.  `details["heard_s_ago"]` is the number of seconds
    since the last message of the other process; null when there was none since the start of the conductor."""

    code = "host-taken"
    retryable = True


class DeadlineExceeded(KilonovaError):
    """An accepted action did not end before its deadline."""

    code = "deadline-exceeded"
    retryable = True


class DatabaseUnavailable(KilonovaError):
    """The database accepts no writes now (its disk is full or fails): nothing was accepted."""

    code = "database-unavailable"
    retryable = True


class DatabaseLocked(DatabaseUnavailable):
    """Another process holds the lock of the database: nothing was accepted."""

    code = "database-locked"


class StorageFull(KilonovaError):
    """There is no free space for the data: nothing was stored."""

    code = "storage-full"
    retryable = True
    of_host = True


class ImageUnavailable(KilonovaError):
    """No image store that has the bytes of the image answers now; nothing was changed."""

    code = "image-unavailable"
    retryable = True


class ConfigError(KilonovaError):
    """A configuration value is invalid."""

    code = "config-error"


class DriverLoadError(KilonovaError):
    """The compute driver cannot be loaded."""

    code = "driver-load-error"


class StateError(KilonovaError):
    """The state directory or the database cannot be used."""

    code = "state-error"


class DatabaseUnreadable(StateError):
    """The database or a row cannot be read: it is missing, damaged, of another revision, or not a database."""

    code = "database-unreadable"


def _tree(cls: type[KilonovaError]) -> list[type[KilonovaError]]:
    return [cls, *(leaf for sub in cls.__subclasses__() for leaf in _tree(sub))]


CATALOGUE: Mapping[str, type[KilonovaError]] = {cls.code: cls for cls in _tree(KilonovaError)}
"""All classes, by code."""


def from_wire(code: str, message: str, details: Mapping[str, Any]) -> KilonovaError:
    """The error that a peer sent.  An unknown code becomes the base class, with the code in the details."""
    cls = CATALOGUE.get(code)
    if cls is None:
        return KilonovaError(message, **{**details, "code": code})
    return cls(message, **details)


def is_of_host(exc: Exception) -> bool:
    """Whether the reason of a failure lies in the host that did the work.  An error of the system, or an unexpected
    one, counts: the request itself was checked before."""
    return exc.of_host if isinstance(exc, KilonovaError) else True
