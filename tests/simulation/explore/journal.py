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
CREATE TABLE journal (seq INTEGER PRIMARY KEY, at REAL, kind TEXT, id TEXT, instance TEXT, verb TEXT, request TEXT,
    before TEXT, state TEXT, task TEXT, power INTEGER, host TEXT, power_before INTEGER, desired INTEGER)
"""
_ENTER = "INSERT INTO journal (at, kind, id, instance, {columns}) VALUES (simulated_s(), {values});"
_SERVER = _ENTER.format(
    columns="before, state, task, power, host, power_before, desired",
    values="""'server', NEW.id, NEW.id, {before}, NEW.vm_state, NEW.task_state, NEW.power_state, NEW.host, {power},
    NEW.desired_power""",
)
_ACTION = _ENTER.format(
    columns="verb, request, before, state",
    values="'action', NEW.id, NEW.instance_id, NEW.verb, NEW.request_id, {before}, NEW.state",
)
_NOTICE = _ENTER.format(
    columns="verb, state",
    values="""'notice', NEW.id, coalesce(NEW.payload ->> 'uuid', ''), NEW.event_type,
    coalesce(NEW.payload ->> 'state', '')""",
)
_FREED = _ENTER.format(columns="state, host", values="'freed address', OLD.value, OLD.instance_id, OLD.value, OLD.host")
_PROCESS = _ENTER.format(
    columns="state, host, power", values="'process', NEW.process_id, '', NEW.boot_id, NEW.host, NEW.epoch"
)
_HANDED = _ENTER.format(columns="state", values="'legs', NEW.id, NEW.instance_id, NEW.legs")
_IMAGE = _ENTER.format(columns="state", values="'image deleted', OLD.id, '', OLD.status")
_USAGE = _ENTER.format(
    columns="state, power, power_before",
    values="""'usage', NEW.project_id, '', 'instances', NEW.instances, (SELECT hard_limit FROM quotas
    WHERE project_id = NEW.project_id AND resource = 'instances')""",
)
_OVERFULL = _ENTER.format(
    columns="state, host, power, power_before",
    values="'overfull', NEW.host, '', 'vcpus', NEW.host, NEW.vcpus_used, NEW.vcpus_capacity",
)
_COLUMNS = "vm_state, task_state, power_state, host, desired_power"
_NEW, _OLD = (", ".join(f"{row}.{name}" for name in _COLUMNS.split(", ")) for row in ("NEW", "OLD"))
_BEFORE = "OLD.vm_state || '/' || coalesce(OLD.task_state, '')"
_TRIGGERS = (
    f"CREATE TRIGGER j1 AFTER INSERT ON instances BEGIN {_SERVER.format(before='NULL', power='NULL')} END",
    f"""CREATE TRIGGER j2 AFTER UPDATE OF {_COLUMNS} ON instances WHEN ({_NEW}) IS NOT ({_OLD}) BEGIN
    {_SERVER.format(before=_BEFORE, power="OLD.power_state")} END""",
    f"CREATE TRIGGER j3 AFTER INSERT ON actions BEGIN {_ACTION.format(before='NULL')} END",
    f"""CREATE TRIGGER j4 AFTER UPDATE OF state ON actions WHEN NEW.state != OLD.state BEGIN
    {_ACTION.format(before="OLD.state")} END""",
    f"CREATE TRIGGER j5 AFTER INSERT ON notifications BEGIN {_NOTICE} END",
    f"CREATE TRIGGER j6 AFTER DELETE ON addresses BEGIN {_FREED} END",
    f"CREATE TRIGGER j7 AFTER INSERT ON services WHEN NEW.binary = 'kilonova-compute' BEGIN {_PROCESS} END",
    f"""CREATE TRIGGER j8 AFTER UPDATE OF process_id ON services WHEN NEW.process_id != OLD.process_id
    AND NEW.binary = 'kilonova-compute' BEGIN {_PROCESS} END""",
    f"CREATE TRIGGER j9 AFTER UPDATE OF legs ON actions WHEN NEW.legs != OLD.legs BEGIN {_HANDED} END",
    f"CREATE TRIGGER j10 AFTER DELETE ON images BEGIN {_IMAGE} END",
    f"""CREATE TRIGGER j12 AFTER UPDATE ON compute_nodes WHEN NEW.vcpus_used > max(OLD.vcpus_used, NEW.vcpus_capacity)
    OR NEW.memory_mib_used > max(OLD.memory_mib_used, NEW.memory_mib_capacity)
    OR NEW.disk_gib_used > max(OLD.disk_gib_used, NEW.disk_gib_capacity) BEGIN {_OVERFULL} END""",
    f"CREATE TRIGGER j11 AFTER UPDATE ON quota_usages WHEN NEW.instances > OLD.instances BEGIN {_USAGE} END",
)


@dataclass(frozen=True, slots=True)
class Change:
    """One row.  `kind` and what the other fields are then:

    "server": `before` is its state with its task, after a /; "action"; "notice": `verb` is the event; "freed address";
    "process": the `host` has a new process, whose epoch is `power`; "legs": `state` is their JSON; "image deleted";
    "usage": `power` is the usage after an increase, `power_before` the limit; "overfull": a claim beyond what the
    `host` has.
    """

    seq: int
    at_s: float
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
    power_before: int | None = None
    desired: int | None = None


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
