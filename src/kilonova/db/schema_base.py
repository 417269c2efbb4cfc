# SPDX-License-Identifier: Apache-2.0
"""The column types and helpers of the tables.  Private to this room."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes as microseconds since 1970: exact, sortable, and the same on every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)


LARGE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""An integer of 64 bits on each database.  SQLite generates the numbers of an INTEGER column only."""


def id_column() -> sa.Column[str]:
    """The UUID, or a similar id, that identifies a row."""
    return sa.Column("id", sa.String(36), primary_key=True)


def time_column(name: str, *, null: bool = False) -> sa.Column[datetime]:
    """A point in time."""
    return sa.Column(name, UtcDateTime, nullable=null)


def partial_index(name: str, *columns: str, where: str) -> sa.Index:
    """An index of the rows for which `where` is true.

    (The condition is SQLite's only: naming PostgreSQL here imports its dialect, 25 ms of CPU time at every start.)
    """
    return sa.Index(name, *columns, sqlite_where=sa.text(where))
