# SPDX-License-Identifier: Apache-2.0
"""The port of the database.  Its two engines are SQLite (one process) and PostgreSQL (the processes of a fleet)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from kilonova.db.transaction import Snapshot, Transaction

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Usage:
    """The use of a database by this process: connections in use now, the most at a time, and how many calls of
    functions after the first one there were, by their reason."""

    busy: int
    size: int
    repeated: Mapping[str, int] = field(default_factory=dict[str, int])


class Database(Protocol):
    """`write` runs a transaction that may change the database, `read` a read-only one.

    A function is pure: it uses only its arguments and the database, and changes nothing else.  PostgreSQL calls it
    again after a conflict with another transaction, and after a lost connection.

    An exception from the function rolls its transaction back and reaches the caller.  Both raise DatabaseUnavailable
    when the database cannot run the transaction now; then nothing was changed.  A `write` raises RequestOutcomeUnknown
    when the commit was sent and its outcome cannot be read.

    A `write` that is cancelled before its function was called never happens; otherwise it may have happened, or is
    happening now.
    """

    async def start(self) -> None:
        """Wait until the database can be used.  Raises StateError when it has the schema of another version."""
        ...

    async def write(self, fn: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`fn(transaction, ...)` in a transaction that is on disk when this returns."""
        ...

    async def read(self, fn: Callable[Concatenate[Snapshot, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`fn(snapshot, ...)` on a snapshot."""
        ...

    def on_recorded(self, recorded: Callable[[], None]) -> None:
        """Call `recorded`, in the event loop, after each commit of a transaction that has recorded a notification.  A
        caller that was cancelled, or that did not learn the outcome, causes no call."""
        ...

    async def trouble(self) -> str:
        """The reason why the database cannot be written, in one sentence; empty when it can.  After a refused write
        this tries another one, so that it detects the end of the problem also without other writes."""
        ...

    def usage(self) -> Usage:
        """The use of the database by this process."""
        ...

    async def close(self) -> None:
        """Finish the accepted transactions, then close the connections."""
        ...


def usage_of(engine: sa.Engine, repeated: Mapping[str, int] | None = None) -> Usage:
    """The use of an engine's pool."""
    pool = engine.pool
    busy, size = (pool.checkedout(), pool.size()) if isinstance(pool, QueuePool) else (0, 1)
    return Usage(busy, size, repeated or {})
