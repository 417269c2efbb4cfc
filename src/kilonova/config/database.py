# SPDX-License-Identifier: Apache-2.0
"""[database]: only processes with a conductor or an API read this."""

from dataclasses import dataclass

from oslo_config import cfg

GROUP = "database"
OPTIONS = [
    cfg.StrOpt(
        "connection",
        default="",
        secret=True,
        help="Empty, or the URL of what is used: SQLite at state_path/kilonova.db. No other is served.",
    ),
    cfg.IntOpt("readers", default=2, min=1, help="Threads that read."),
]


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """`connection` is a URL of SQLAlchemy's form."""

    connection: str
    readers: int


def settings(group: cfg.ConfigOpts.GroupAttr) -> DatabaseSettings:
    """The frozen settings of the group."""
    return DatabaseSettings(**{opt.name: group[opt.name] for opt in OPTIONS})
