# SPDX-License-Identifier: Apache-2.0
"""What the database of a run records, read beside the service: its tables, and a journal that triggers write."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.chaos.cloud import Cloud
from tests.simulation.explore.journal import Change

Row = Mapping[str, Any]
PATIENCE_S = 5
JSON = frozenset({"flavor", "old_flavor", "new_flavor", "image", "addresses", "body", "legs"})

JOURNAL = """
CREATE TABLE chaos_journal (seq BIGSERIAL PRIMARY KEY, at_s float8 DEFAULT
    extract(epoch FROM clock_timestamp()), kind text, id text, instance text, verb text, request text,
    before text, state text, task text, power int, host text);
CREATE FUNCTION chaos_server() RETURNS trigger AS $$ BEGIN
    INSERT INTO chaos_journal (kind, id, instance, before, state, task, power, host) VALUES ('server', NEW.id, NEW.id,
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.vm_state || '/' || coalesce(OLD.task_state, '') END,
        NEW.vm_state, NEW.task_state, NEW.power_state, NEW.host);
    RETURN NULL; END $$ LANGUAGE plpgsql;
CREATE FUNCTION chaos_action() RETURNS trigger AS $$ BEGIN
    INSERT INTO chaos_journal (kind, id, instance, verb, request, before, state) VALUES ('action', NEW.id,
        NEW.instance_id, NEW.verb, NEW.request_id, CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END, NEW.state);
    RETURN NULL; END $$ LANGUAGE plpgsql;
CREATE TRIGGER chaos_1 AFTER INSERT ON instances FOR EACH ROW EXECUTE FUNCTION chaos_server();
CREATE TRIGGER chaos_2 AFTER UPDATE ON instances FOR EACH ROW
    WHEN ((NEW.vm_state, NEW.task_state, NEW.power_state, NEW.host) IS DISTINCT FROM
    (OLD.vm_state, OLD.task_state, OLD.power_state, OLD.host)) EXECUTE FUNCTION chaos_server();
CREATE TRIGGER chaos_3 AFTER INSERT ON actions FOR EACH ROW EXECUTE FUNCTION chaos_action();
CREATE TRIGGER chaos_4 AFTER UPDATE ON actions FOR EACH ROW WHEN (NEW.state <> OLD.state)
    EXECUTE FUNCTION chaos_action();
"""
"""The same journal as that of the simulation, for PostgreSQL."""


@dataclass
class Records:
    """Reads; each connection is new, because the server may be away."""

    url: str

    def begin(self) -> None:
        """Create the journal.  The service does not use it."""
        with self._connection() as connection:
            connection.execute(JOURNAL)

    def rows(self, query: Any, *values: object) -> list[Row]:
        """The rows of a query.  Raises psycopg.Error."""
        with self._connection() as connection:
            return [_row(row) for row in connection.execute(query, values).fetchall()]

    def open_actions(self) -> list[Row]:
        """The actions that have not ended."""
        return self.rows("SELECT id, instance_id, verb, host, started_at, deadline FROM actions WHERE state = 'open'")

    def changes(self) -> list[Change]:
        """The journal, in order."""
        names = [one.name for one in fields(Change)]
        rows = self.rows("SELECT * FROM chaos_journal ORDER BY seq")
        return [Change(**{name: row[name] for name in names if name in row}) for row in rows]

    def _connection(self) -> "psycopg.Connection[dict[str, Any]]":
        options = f"-c statement_timeout={PATIENCE_S}000"
        return psycopg.connect(self.url, connect_timeout=PATIENCE_S, options=options, row_factory=dict_row)


def _row(row: Row) -> Row:
    return {name: json.loads(cell) if name in JSON and isinstance(cell, str) else cell for name, cell in row.items()}


@dataclass(frozen=True, slots=True)
class Sight:
    """An open action as it was seen first and last, in seconds of the run; `limit_s`: its deadline less its start."""

    row: Row
    first_s: float
    last_s: float
    limit_s: float


@dataclass
class Watch:
    """Looks every second: real guests, and actions that are open.  Its clock is that of the run."""

    cloud: Cloud
    records: Records
    begun: float
    open: dict[str, Sight] = field(default_factory=dict[str, Sight])
    """Each action that was seen open."""
    twice: list[str] = field(default_factory=list[str])
    real: set[str] = field(default_factory=set[str])
    """The domains of real guests that were seen."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin, in a thread."""
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def stop(self) -> None:
        """End."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            self.look_at_guests([(host, name) for host, name, _ in self.cloud.qemus()])
            with suppress(psycopg.Error):
                self.look_at_actions(self.records.open_actions(), time.monotonic() - self.begun)

    def look_at_guests(self, seen: Sequence[tuple[str, str]]) -> None:
        """Host and domain of each guest that runs now."""
        where: dict[str, str] = {}
        for host, name in seen:
            if where.setdefault(name, host) != host:
                self.twice.append(f"Guest {name} runs on {where[name]} and on {host}.")
        self.real |= where.keys()

    def look_at_actions(self, rows: Sequence[Row], now_s: float) -> None:
        """The actions that are open now."""
        for row in rows:
            limit_s = (row["deadline"] - row["started_at"]) / 1e6
            first_s = self.open[row["id"]].first_s if row["id"] in self.open else now_s
            self.open[row["id"]] = Sight(row, first_s, now_s, limit_s)
