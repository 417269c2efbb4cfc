# SPDX-License-Identifier: Apache-2.0
"""The database itself records each change of a server and of an action, by triggers, in the order of the commits.

A row of the journal is written in the transaction that makes the change, so that it is there exactly if the change is.
"""

import sqlite3
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kilonova.conductor import bootstrap
from tests import template

_TABLE = """
CREATE TABLE journal (seq INTEGER PRIMARY KEY, kind TEXT, id TEXT, instance TEXT, verb TEXT, request TEXT,
    before TEXT, state TEXT, task TEXT, power INTEGER, host TEXT)
"""
_SERVER = """
INSERT INTO journal (kind, id, instance, before, state, task, power, host) VALUES ('server', NEW.id, NEW.id, {before},
    NEW.vm_state, NEW.task_state, NEW.power_state, NEW.host);
"""
_ACTION = """
INSERT INTO journal (kind, id, instance, verb, request, before, state) VALUES ('action', NEW.id, NEW.instance_id,
    NEW.verb, NEW.request_id, {before}, NEW.state);
"""
_TRIGGERS = (
    f"CREATE TRIGGER j1 AFTER INSERT ON instances BEGIN {_SERVER.format(before='NULL')} END",
    f"""CREATE TRIGGER j2 AFTER UPDATE OF vm_state, task_state, power_state, host ON instances
    WHEN (NEW.vm_state, NEW.task_state, NEW.power_state, NEW.host)
    IS NOT (OLD.vm_state, OLD.task_state, OLD.power_state, OLD.host) BEGIN
    {_SERVER.format(before="OLD.vm_state || '/' || coalesce(OLD.task_state, '')")} END""",
    f"CREATE TRIGGER j3 AFTER INSERT ON actions BEGIN {_ACTION.format(before='NULL')} END",
    f"""CREATE TRIGGER j4 AFTER UPDATE OF state ON actions WHEN NEW.state != OLD.state BEGIN
    {_ACTION.format(before="OLD.state")} END""",
)


@dataclass(frozen=True, slots=True)
class Change:
    """One row.  `kind` is "server" or "action"; `before` is the state before (of a server with its task, after a /)."""

    seq: int
    kind: str
    id: str
    instance: str
    verb: str | None
    request: str | None
    before: str | None
    state: str
    task: str | None
    power: int | None
    host: str | None


@cache
def _recorded(admin: bootstrap.FirstAdmin) -> bytes:
    with tempfile.TemporaryDirectory(prefix="kn-") as directory:
        path = Path(directory) / "kilonova.db"
        template.put_bootstrapped(path, admin)
        connection = sqlite3.connect(path)
        for statement in (_TABLE, *_TRIGGERS):
            connection.execute(statement)
        connection.commit()
        connection.close()
        return path.read_bytes()


def put_recorded(path: Path, admin: bootstrap.FirstAdmin) -> None:
    """Make the database file of a new cloud, with its journal."""
    path.write_bytes(_recorded(admin))


class Observer:
    """Reads the committed state of the database beside the service, by plain SQL."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.row_factory = sqlite3.Row

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """The rows of a query."""
        return self._connection.execute(query, values).fetchall()

    def newest(self) -> int:
        """The number of the last change that is committed."""
        return self.rows("SELECT coalesce(max(seq), 0) FROM journal")[0][0]

    def changes(self) -> list[Change]:
        """All changes, in the order of their commits."""
        return [Change(*row) for row in self.rows("SELECT * FROM journal ORDER BY seq")]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
