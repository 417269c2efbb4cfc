# SPDX-License-Identifier: Apache-2.0
"""Doing the same to many in one transaction: one that fails is undone and said, and the others are done."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import OperationalError

log = structlog.get_logger(__name__)

T = TypeVar("T")
R = TypeVar("R")


def each(connection: sa.Connection, items: Iterable[T], do: Callable[[T], R], what: str) -> Iterator[R]:
    """`do` with each item, in a savepoint of its own; the results of those that succeeded.

    A failure of the database itself (a full disk) ends all of it: raises OperationalError.
    """
    for item in items:
        try:
            with connection.begin_nested():
                result = do(item)
        except OperationalError:
            raise
        except Exception:
            log.exception("one of many failed", what=what, item=str(item)[:200])
            continue
        yield result
