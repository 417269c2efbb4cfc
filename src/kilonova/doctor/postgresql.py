# SPDX-License-Identifier: Apache-2.0
"""Checks of the PostgreSQL database of a fleet, on a machine with an API process or a conductor."""

from typing import TYPE_CHECKING

from kilonova.base.errors import ConfigError
from kilonova.db.location import is_on_server
from kilonova.doctor.finding import Finding, error, ok, warning
from kilonova.doctor.subject import Subject

if TYPE_CHECKING:
    from kilonova.db.postgres import checks

NAME = "database"


def is_configured(subject: Subject) -> bool:
    """Whether the database of this process is on a server.  False for a URL that cannot be used."""
    try:
        return is_on_server(subject.settings.database.connection, subject.state)
    except ConfigError:
        return False


def postgresql(subject: Subject) -> list[Finding]:
    """A finding for each problem of the server and of the database on it; one finding when there is none."""
    from kilonova.db.postgres import checks  # late: the one box has no psycopg
    from kilonova.db.postgres.url import parameters

    try:
        given = parameters(subject.settings.database.connection)
    except ConfigError as exc:
        return [error(NAME, exc.message, "Correct [database] connection.")]
    remarks = checks.check(given)
    found = [_finding(one) for one in remarks if one.level is not checks.Level.OK]
    return found or [ok(NAME, " ".join(one.message for one in remarks))]


def _finding(remark: "checks.Remark") -> Finding:
    from kilonova.db.postgres.checks import Level

    return (error if remark.level is Level.ERROR else warning)(NAME, remark.message, remark.cure)
