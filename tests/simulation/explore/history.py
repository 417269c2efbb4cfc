# SPDX-License-Identifier: Apache-2.0
"""What a run has done and seen: the exchanges of clients, and the events that explain changes without a request."""

import hashlib
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field

REFUSED_BY_STATE = "Cannot '"
EARLIER = "An earlier attempt"


@dataclass
class Exchange:
    """A request and its answer.  Times are virtual seconds; `seq_before` and `seq_after` are the numbers of the newest
    change in the database's journal then.  `code` None: no answer.  `shown`: the server in the answer of a read."""

    number: int
    client: int
    admin: bool
    server: str
    verb: str
    invoked_s: float
    seq_before: int
    answered_s: float = 0.0
    seq_after: int = 0
    code: int | None = None
    message: str = ""
    request_id: str = ""
    shown: "Shown | None" = None
    copied: bool = False
    """The bus has delivered a message of it twice, or late: a copy may be accepted after another one was refused."""

    @property
    def accepted(self) -> bool:
        """The answer says that the request is recorded."""
        return self.code is not None and self.code < 300

    @property
    def unknown(self) -> bool:
        """The request may have been done, may still be done, or may never be."""
        return self.code in (None, 504) or EARLIER in self.message or (self.copied and not self.accepted)

    def __str__(self) -> str:
        answer = "no answer" if self.code is None else f"{self.code} {self.message}".strip()
        seen = f" {self.shown}" if self.shown is not None else ""
        server = f" {self.server[:8]}" if self.server else ""
        return (
            f"{self.invoked_s:8.2f} s  client {self.client}: {self.verb}{server}"
            f"  ->  {answer}{seen} at {self.answered_s:.2f} s"
        )


EXCHANGE: ContextVar[Exchange | None] = ContextVar("EXCHANGE", default=None)
"""The exchange for which code runs now."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a read has shown of a server."""

    vm_state: str
    task_state: str | None
    power_state: int
    host: str | None
    locked: bool

    def __str__(self) -> str:
        return f"{self.vm_state}/{self.task_state or '-'} power {self.power_state} on {self.host}"


@dataclass
class History:
    """`events` are what steps did to the cloud, with their times, for people."""

    exchanges: list[Exchange] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)

    def hash(self, more: Iterable[object] = ()) -> str:
        """A text that is the same exactly for the same history."""
        digest = hashlib.sha256()
        for one in (*self.exchanges, *self.events, *more):
            digest.update(f"{one!s}\n".encode())
        return digest.hexdigest()[:16]
