# SPDX-License-Identifier: Apache-2.0
"""What a function that runs inside the database receives: opaque above this package.

Only readers and writers look inside.  Everything above passes it on, so that no query is written outside
`kilonova.db`, and a second database needs no change outside it.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa

F = TypeVar("F", bound=Callable[..., Any])

Snapshot: TypeAlias = sa.Connection
"""A consistent view of the database, for reading (`Database.read`)."""

Transaction: TypeAlias = sa.Connection
"""An open transaction, for reading and writing (`Database.write`).  Readers accept it, too."""

RECORDED = "kilonova_recorded"
"""The name in `Transaction.info` of whether the transaction has recorded a notification."""


def take_recorded(tx: Transaction) -> bool:
    """Whether the transaction has recorded a notification.  Clears the mark, which belongs to the connection."""
    return bool(tx.info.pop(RECORDED, False))


_LOCKING: dict[Callable[..., Any], Callable[..., str]] = {}


def locks_usage_of(project: Callable[..., str]) -> Callable[[F], F]:
    """A decorator for functions that are passed to `Database.write` and change the usage of one project, whose id
    `project` finds in the arguments.

    On PostgreSQL such a transaction begins with a lock of the project's row in `quota_usages`, and then runs READ
    COMMITTED: it waits for others that change the row, and does not run again after each of them.  It must lock every
    other row before it reads what other transactions decide by that row."""

    def declare(fn: F) -> F:
        _LOCKING[fn] = project
        return fn

    return declare


def usage_to_lock(fn: Callable[..., Any], args: tuple[Any, ...]) -> str | None:
    """The project whose usage the function locks; None: it locks none, and runs SERIALIZABLE."""
    project = _LOCKING.get(fn)
    return None if project is None else project(*args)


_SINGLE: set[Callable[..., Any]] = set()


def single_statement(fn: F) -> F:
    """A decorator for functions that are passed to `Database.read` and execute at most one statement.  One statement is
    a snapshot of its own: PostgreSQL needs no BEGIN and no COMMIT for it, each of which is a round trip.  A second
    statement in such a function is an error."""
    _SINGLE.add(fn)
    return fn


def is_single(fn: Callable[..., Any]) -> bool:
    """Whether the function executes at most one statement."""
    return fn in _SINGLE
