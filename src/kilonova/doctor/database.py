# SPDX-License-Identifier: Apache-2.0
"""Checks of the database: SQLite's file, or a PostgreSQL server (see postgresql)."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from kilonova.base.errors import DatabaseUnreadable
from kilonova.db.compatibility import refusal
from kilonova.db.inspect import DatabaseFacts, inspect
from kilonova.db.location import recovery_command
from kilonova.db.migrate import HEAD
from kilonova.doctor import postgresql
from kilonova.doctor.finding import Finding, error, note, ok, warning
from kilonova.doctor.subject import Subject, owner_of


def database(subject: Subject) -> Finding | Sequence[Finding]:
    """Check that the database is intact and has a revision that this code supports; on a PostgreSQL server also its
    settings."""
    if postgresql.is_configured(subject):
        return postgresql.postgresql(subject)
    if subject.settings.default.in_fleet and not subject.database.exists():
        return note("database", "There is no database here: only conductors and API processes of a fleet use it.")
    return _file(subject.database)


def _file(path: Path) -> Finding:
    try:
        facts, mode = inspect(path), stat.S_IMODE(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return note("database", "There is no database yet; a conductor or the one box creates it.", path=str(path))
    except DatabaseUnreadable as exc:
        if not os.access(path, os.R_OK, effective_ids=True):
            cure = f"Run this as {owner_of(path)}, its owner."
            return error("database", f"{path} cannot be read by this user.", cure, path=str(path))
        return error("database", f"{path} cannot be read: {exc}.", f"Restore {path} from a backup.", path=str(path))
    return judge_database(path, facts, mode)


def judge_database(path: Path, found: DatabaseFacts, mode: int) -> Finding:
    """See `database`."""
    name = "database"
    facts = {"path": str(path), "revision": found.revision, "known": HEAD, "bytes": found.n_bytes}
    if found.damage:
        cure = f"Stop the service and restore a backup, or: {recovery_command(path)}"
        return error(name, f"The database is damaged: {found.damage}.", cure, **facts)
    if found.revision is not None and found.revision > HEAD and (why := refusal(found.revision, HEAD, found.lowest)):
        cure = "Start that version, or restore a backup from before the upgrade."
        return error(name, f"The database {why}.", cure, **facts)
    if mode & 0o077:
        message = f"Other users can read the database ({mode:04o}), which contains password hashes."
        return warning(name, message, f"chmod 600 {path}", **facts)
    if found.revision is None or found.revision < HEAD:
        message = f"The database has revision {found.revision or 'none'}; the next start copies it and upgrades it."
        return note(name, message, "", **facts)
    if found.revision > HEAD:
        return ok(name, "The database is intact; it has a newer revision that this version may use.", **facts)
    return ok(name, f"The database is intact and has the current revision ({HEAD}).", **facts)
