# SPDX-License-Identifier: Apache-2.0
"""A database with failpoints: before and after each transaction that writes."""

from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from kilonova.base.failpoints import Failpoints
from kilonova.db.engine import Database, Usage
from kilonova.db.transaction import Snapshot, Transaction

P = ParamSpec("P")
T = TypeVar("T")

Names: TypeAlias = Mapping[Callable[..., Any], str]
"""The functions of transactions, with their names in failpoints."""

EDIT = "edit"
"""The name of the other transactions."""


def of_writes(names: Names) -> frozenset[str]:
    """The failpoints of a process that runs these transactions, and others."""
    every = (*names.values(), EDIT)
    return frozenset(f"write.{name}.{moment}" for name in every for moment in ("begin", "done"))


class BreakableDatabase:
    """A Database on another one."""

    def __init__(self, db: Database, failpoints: Failpoints, names: Names) -> None:
        self._db, self._failpoints, self._names = db, failpoints, names

    async def start(self) -> None:
        """See Database."""
        await self._db.start()

    async def write(self, fn: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database."""
        name = self._names.get(getattr(fn, "__func__", fn), EDIT)
        self._failpoints.hit(f"write.{name}.begin")
        result = await self._db.write(fn, *args, **kwargs)
        self._failpoints.hit(f"write.{name}.done")
        return result

    async def read(self, fn: Callable[Concatenate[Snapshot, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database."""
        return await self._db.read(fn, *args, **kwargs)

    def on_recorded(self, recorded: Callable[[], None]) -> None:
        """See Database."""
        self._db.on_recorded(recorded)

    async def trouble(self) -> str:
        """See Database."""
        return await self._db.trouble()

    def usage(self) -> Usage:
        """See Database."""
        return self._db.usage()

    async def close(self) -> None:
        """See Database."""
        await self._db.close()
