# SPDX-License-Identifier: Apache-2.0
"""Statements that SQLite and PostgreSQL write differently.  Private to this package."""

from collections.abc import Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from kilonova.db.transaction import Snapshot, Transaction

Insert = TypeVar("Insert", bound=sa.Insert)

POSTGRESQL = "postgresql"
SECOND_CALL = "kilonova_second_call"
"""The name in `Connection.info` of whether the engine may call the function again after this call."""


class Upsert:
    """An INSERT that leaves an existing row with the same `key` as it is, except for the columns of `replace`.  With
    `source` it inserts the rows of this SELECT, which has a WHERE and all columns of the table in their order.

    It returns the key of each row that it inserted or changed, if `returns` is set.  Several rows are one statement
    then: SQLAlchemy sends a statement for each row of an INSERT that returns nothing."""

    def __init__(
        self,
        table: sa.Table,
        key: Sequence[str],
        replace: Sequence[str] = (),
        source: sa.Select[*tuple[Any, ...]] | None = None,
        *,
        returns: bool = False,
    ) -> None:
        self._table, self._key, self._replace, self._source = table, tuple(key), tuple(replace), source
        self._returns = returns
        self._built: dict[str, sa.Insert] = {}

    def on(self, tx: Transaction) -> sa.Insert:
        """The statement for the database of this transaction."""
        name = tx.dialect.name
        if name not in self._built:
            built = self._of_postgresql() if name == POSTGRESQL else self._of_sqlite()
            self._built[name] = built.returning(*(self._table.c[one] for one in self._key)) if self._returns else built
        return self._built[name]

    def _filled(self, statement: Insert) -> Insert:
        return statement if self._source is None else statement.from_select(list(self._table.c), self._source)

    def _of_postgresql(self) -> sa.Insert:
        from sqlalchemy.dialects.postgresql import insert  # (here: its import takes 25 ms)

        statement = self._filled(insert(self._table))
        if not self._replace:
            return statement.on_conflict_do_nothing(index_elements=self._key)
        values = {name: statement.excluded[name] for name in self._replace}
        return statement.on_conflict_do_update(index_elements=self._key, set_=values)

    def _of_sqlite(self) -> sa.Insert:
        from sqlalchemy.dialects.sqlite import insert

        statement = self._filled(insert(self._table))
        if not self._replace:
            return statement.on_conflict_do_nothing(index_elements=self._key)
        values = {name: statement.excluded[name] for name in self._replace}
        return statement.on_conflict_do_update(index_elements=self._key, set_=values)


def is_postgresql(snapshot: Snapshot) -> bool:
    """Whether this is a transaction of PostgreSQL."""
    return snapshot.dialect.name == POSTGRESQL


def runs_again(tx: Transaction) -> bool:
    """Whether the engine calls the function again when a constraint is violated: another transaction may have caused
    the violation since this one began."""
    return bool(tx.info.get(SECOND_CALL, False)) if is_postgresql(tx) else False
