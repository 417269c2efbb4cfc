# SPDX-License-Identifier: Apache-2.0
"""The catalogue of errors.

One tree.  Each class has a stable `code` (for programs: it crosses the bus and appears in logs), a sentence for
people, and `retryable`: whether the same request, sent again unchanged, may succeed.  Only `api` knows HTTP codes,
only `rpc` knows the wire form.

KilonovaError
├── InvalidInput, TooLarge, NotFound, Conflict, InvalidState, Forbidden, OverQuota, Unauthorized, NotAcceptable
├── IdempotencyKeyReused, ImageUnacceptable, NoValidHost, Overloaded
├── HypervisorUnavailable, OutcomeUnknown, NativeCallTimeout
├── HypervisorError, NotSupported, GuestNotRunning, GuestStuck, DiskMoved, DiskUnusable
├── RpcTimeout, RequestOutcomeUnknown, RpcUnavailable, StaleWrite, HostSuperseded, HostTaken, DeadlineExceeded
├── DatabaseUnavailable, DatabaseLocked, StorageFull
└── ConfigError, DriverLoadError, StateError (DatabaseUnreadable)     (end a command with one sentence)
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class KilonovaError(Exception):
    """Base of all our errors.

    `message` is one sentence in the caller's terms, without secrets; `details` are machine-readable, JSON-safe facts.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, Any] = details

    def __str__(self) -> str:
        return self.message


class InvalidInput(KilonovaError):
    """A request that can never succeed as it stands.  `details["path"]` names the field."""

    code = "invalid-input"


class TooLarge(KilonovaError):
    """A body, file or value over its limit."""

    code = "too-large"


class NotFound(KilonovaError):
    """The thing does not exist, or the caller may not know that it does."""

    code = "not-found"


class Conflict(KilonovaError):
    """Something of that name or kind exists already, or is in use."""

    code = "conflict"


class IdempotencyKeyReused(KilonovaError):
    """The Idempotency-Key of a request belongs to another request."""

    code = "idempotency-key-reused"


class InvalidState(KilonovaError):
    """The instance's state does not allow this action now."""

    code = "invalid-state"
    retryable = True


class Forbidden(KilonovaError):
    """Known caller, not allowed."""

    code = "forbidden"


class OverQuota(Forbidden):
    """More than the project's quota allows; nothing of it was done."""

    code = "over-quota"


class Unauthorized(KilonovaError):
    """No token, a bad one, or a wrong password."""

    code = "unauthorized"


class NotAcceptable(KilonovaError):
    """A microversion that is not served."""

    code = "not-acceptable"


class ImageUnacceptable(KilonovaError):
    """An image that is not what it says, or that points outside itself."""

    code = "image-unacceptable"


class NoValidHost(KilonovaError):
    """No host can take the instance; the message says what each filter refused."""

    code = "no-valid-host"
    retryable = True


class Overloaded(KilonovaError):
    """More of this is asked for than the service does at a time; nothing was begun."""

    code = "overloaded"
    retryable = True


class HypervisorUnavailable(KilonovaError):
    """The hypervisor of `details["host"]` does not answer; what was asked may or may not have happened."""

    code = "hypervisor-unavailable"
    retryable = True


class OutcomeUnknown(HypervisorUnavailable):
    """A call was begun and cut off, by the loss of its connection or by its deadline: it may yet happen."""

    code = "outcome-unknown"


class NativeCallTimeout(OutcomeUnknown):
    """A native call outlived its deadline: it goes on in its thread and its outcome is unknown until re-read."""

    code = "native-call-timeout"


class HypervisorError(KilonovaError):
    """The hypervisor answered with a refusal (bad XML, no such device, ...): it did not happen."""

    code = "hypervisor-error"


class NotSupported(HypervisorError):
    """The host's driver cannot do such a thing at all: nothing was begun."""

    code = "not-supported"


class GuestNotRunning(HypervisorError):
    """A guest was started without complaint, and yet does not run."""

    code = "guest-not-running"


class GuestStuck(HypervisorError):
    """The hypervisor can neither run nor end the guest before somebody has helped it; the message says how."""

    code = "guest-stuck"


class DiskMoved(HypervisorError):
    """The guest's active disk is not the one of the record: other tools have moved it.  Nothing was done."""

    code = "disk-moved"


class DiskUnusable(HypervisorError):
    """A file of the guest's disk is gone, cannot be read, or refers to what it should not.  Nothing was done to it."""

    code = "disk-unusable"


class RpcTimeout(KilonovaError):
    """No reply in time: what was asked may or may not have happened."""

    code = "rpc-timeout"
    retryable = True


class RequestOutcomeUnknown(RpcTimeout):
    """A request that changes something was sent, and nothing is known of its end: it may have happened, and may
    happen yet."""

    code = "request-outcome-unknown"
    retryable = False


class RpcUnavailable(KilonovaError):
    """Nobody serves that subject now: it did not happen."""

    code = "rpc-unavailable"
    retryable = True


class StaleWrite(KilonovaError):
    """A report from an attempt or host epoch that is no longer the current one: refused, nothing changed."""

    code = "stale-write"


class HostSuperseded(StaleWrite):
    """The host has a newer process than the one that asks: that one changes nothing more, and ends."""

    code = "host-superseded"


class HostTaken(KilonovaError):
    """A process registers for a host that has another one.  `details["heard_s_ago"]` is how many seconds ago that was
    heard; null when the conductor has not heard it since its own start."""

    code = "host-taken"
    retryable = True


class DeadlineExceeded(KilonovaError):
    """An accepted action did not end within its deadline."""

    code = "deadline-exceeded"
    retryable = True


class DatabaseUnavailable(KilonovaError):
    """The database takes nothing now (its disk is full or fails): nothing was accepted."""

    code = "database-unavailable"
    retryable = True


class DatabaseLocked(DatabaseUnavailable):
    """Another process holds the database's lock: nothing was accepted."""

    code = "database-locked"


class StorageFull(KilonovaError):
    """There is no room for the bytes: none of them were kept."""

    code = "storage-full"
    retryable = True


class ConfigError(KilonovaError):
    """A configuration value that cannot be used."""

    code = "config-error"


class DriverLoadError(KilonovaError):
    """The compute driver cannot be loaded."""

    code = "driver-load-error"


class StateError(KilonovaError):
    """The state directory or the database cannot be used."""

    code = "state-error"


class DatabaseUnreadable(StateError):
    """The database, or a row of it, cannot be read: it is missing, damaged, of another revision, or no database."""

    code = "database-unreadable"


def _tree(cls: type[KilonovaError]) -> list[type[KilonovaError]]:
    return [cls, *(leaf for sub in cls.__subclasses__() for leaf in _tree(sub))]


CATALOGUE: Mapping[str, type[KilonovaError]] = {cls.code: cls for cls in _tree(KilonovaError)}
"""Every class by its code."""


def from_wire(code: str, message: str, details: Mapping[str, Any]) -> KilonovaError:
    """The error that a peer sent; a code we do not know becomes the base class, its code kept in the details."""
    cls = CATALOGUE.get(code)
    if cls is None:
        return KilonovaError(message, **{**details, "code": code})
    return cls(message, **details)
