# SPDX-License-Identifier: Apache-2.0
"""[database]: only processes with a conductor or an API read this."""

from dataclasses import dataclass
from datetime import timedelta

from oslo_config import cfg

GROUP = "database"
OPTIONS = [
    cfg.StrOpt(
        "connection",
        default="",
        secret=True,
        help="URL of the database; empty: SQLite at state_path/kilonova.db. A fleet uses PostgreSQL: "
        "postgresql+psycopg://USER:PASSWORD@HOST1:5432,HOST2:5432/DATABASE?sslmode=verify-full, with the connection "
        "parameters of libpq after the question mark.",
    ),
    cfg.IntOpt("readers", default=2, min=1, help="Number of reader threads of SQLite."),
    cfg.IntOpt("max_pool_size", default=5, min=1, help="Number of connections to PostgreSQL."),
    cfg.FloatOpt(
        "keep_deleted_days",
        default=30.0,
        max=36_500,
        help="Days after which a deleted server is purged, with its actions and migrations, and after which a copy of "
        "the database from before an upgrade is removed; negative: never.",
    ),
    cfg.IntOpt(
        "max_deleted_servers",
        default=50_000,
        min=-1,
        help="Number of deleted servers that are kept at most; those that were deleted first are purged first; -1: no "
        "limit.",
    ),
    cfg.IntOpt(
        "max_actions_per_server",
        default=1000,
        min=-1,
        help="Number of actions of one server that are kept at most, besides the newest of each kind; the oldest are "
        "purged first; -1: no limit.",
    ),
]


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept: deleted servers for `age`, at most `deleted` of them, and at most `actions` of each server.  None:
    without a limit."""

    age: timedelta | None = None
    deleted: int | None = None
    actions: int | None = None


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """`connection` is a URL of SQLAlchemy's form."""

    connection: str
    readers: int
    max_pool_size: int
    keep_deleted_days: float
    max_deleted_servers: int
    max_actions_per_server: int

    @property
    def retention(self) -> Retention:
        """What is kept in the database."""
        age = None if self.keep_deleted_days < 0 else timedelta(days=self.keep_deleted_days)
        return Retention(age, _limit(self.max_deleted_servers), _limit(self.max_actions_per_server))


def _limit(count: int) -> int | None:
    return None if count < 0 else count


KEEP_ALL = Retention()
"""Nothing is purged but what has expired."""


def settings(group: cfg.ConfigOpts.GroupAttr) -> DatabaseSettings:
    """The frozen settings of the group."""
    return DatabaseSettings(**{opt.name: group[opt.name] for opt in OPTIONS})
