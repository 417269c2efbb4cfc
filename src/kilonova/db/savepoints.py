# SPDX-License-Identifier: Apache-2.0
"""The same work on many items in one transaction: a failed item is undone and logged, and the others are done."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import structlog
from sqlalchemy.exc import IntegrityError, OperationalError

from kilonova.db.dialect import runs_again
from kilonova.db.transaction import Transaction

log = structlog.get_logger(__name__)

T = TypeVar("T")
R = TypeVar("R")


def each_in_savepoint(tx: Transaction, items: Iterable[T], do: Callable[[T], R], what: str) -> Iterator[R]:
    """Call `do` with each item, in a savepoint per item; yield the results of those that succeeded.

    A failure of the database itself (a full disk, a conflict with another transaction) ends the whole transaction:
    raises OperationalError, or IntegrityError when the whole transaction runs again.
    """
    for item in items:
        try:
            with tx.begin_nested():
                result = do(item)
        except OperationalError:
            raise
        except Exception as exc:
            if isinstance(exc, IntegrityError) and runs_again(tx):
                raise
            log.exception("one item of a batch failed", what=what, item=str(item)[:200])
            continue
        yield result
