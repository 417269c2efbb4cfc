# SPDX-License-Identifier: Apache-2.0
"""Which code versions work together, and what a caller may send to an older conductor.

Two processes work together when their code versions differ by one at most, so that a fleet is upgraded process by
process.  Each request carries the version of its sender (see kilonova.rpc.wire), and the receiver refuses a version
that is further away.  docs/upgrade.md lists what this version keeps for the previous one.
"""

from dataclasses import dataclass
from typing import Any

from kilonova import CODE_VERSION
from kilonova.base.errors import IncompatibleVersion, InvalidInput, KilonovaError, NotInThisVersion
from kilonova.rpcapi.method import Method

WINDOW = 1
OLDEST = CODE_VERSION - WINDOW
"""The oldest version that this one works with."""


def parties(subject: str) -> tuple[str, str]:
    """The sender and the receiver of a request on the subject, in words."""
    root, _, host = subject.rpartition(".")
    if root == "compute":
        return "the sender of the request", f"kilonova-compute on host {host}"
    if root in ("conductor.host", "heartbeat"):
        return f"kilonova-compute on host {host}", "kilonova-conductor"
    return "the API process", "kilonova-conductor"


def works_with(version: int) -> bool:
    """Whether this process works with a peer of that code version."""
    return abs(version - CODE_VERSION) <= WINDOW


def check_window(version: int, sender: str, receiver: str) -> None:
    """`version` is the sender's, this process is the receiver.  Raises IncompatibleVersion."""
    if not works_with(version):
        older = sender if version < CODE_VERSION else receiver
        raise IncompatibleVersion(
            f"{sender[:1].upper()}{sender[1:]} has code version {version} and {receiver} has code version "
            f"{CODE_VERSION}, and versions that differ by more than one do not work together: upgrade {older} first."
        )


@dataclass
class ConductorVersion:
    """The lowest code version of the live conductors, as they report it (`lowest`).  Until the first report it is the
    oldest that can work with this process, so that a new method is sent only to conductors that have it."""

    lowest: int = OLDEST

    def check(self, method: Method[Any, Any]) -> None:
        """Raises NotInThisVersion for a method that not all conductors have."""
        if method.since > self.lowest and not method.is_served_by_hosts:
            raise NotInThisVersion(
                f"The conductors have code version {self.lowest}, and {method.name} exists since code version "
                f"{method.since}: upgrade the conductors first."
            )


def as_unknown_method(error: KilonovaError, method: Method[Any, Any]) -> KilonovaError:
    """The error of a peer.  Code version 1 reports a method that it does not have as InvalidInput (goes in version 3,
    see docs/upgrade.md)."""
    if isinstance(error, InvalidInput) and error.message == f"No such method here: {method.name}.":
        return NotInThisVersion(f"The process that answered has code version 1, which does not have {method.name}.")
    return error


def not_here(subject: str, name: str) -> NotInThisVersion:
    """The error for a request of a method that the receiver does not have."""
    receiver = parties(subject)[1]
    return NotInThisVersion(f"{receiver} has code version {CODE_VERSION}, which does not have {name[:64]}: upgrade it.")
