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
        help="Days after which a deleted server is purged, with its actions and migrations; negative: never.",
    ),
]


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """`connection` is a URL of SQLAlchemy's form."""

    connection: str
    readers: int
    max_pool_size: int
    keep_deleted_days: float

    @property
    def keep_deleted(self) -> timedelta | None:
        """The retention time of deleted servers; None: without a limit."""
        return None if self.keep_deleted_days < 0 else timedelta(days=self.keep_deleted_days)


def settings(group: cfg.ConfigOpts.GroupAttr) -> DatabaseSettings:
    """The frozen settings of the group."""
    return DatabaseSettings(**{opt.name: group[opt.name] for opt in OPTIONS})
