# SPDX-License-Identifier: Apache-2.0
"""A fleet of real processes on the fake driver, as the bench uses it: started, loaded, counted, stopped."""

import http.client
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.box import Cloud
from bench.figures import CannotMeasure
from lab.common import LabError, tail
from lab.fleet.fleet import Fleet, Plan

FAKE = Plan(real=False)
"""Two API processes, two conductors and three hosts on the fake driver."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What the engines have done so far.  `messages`: those that the NATS server received, replies included."""

    statements: int
    messages: int
    fsyncs: int

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(self.statements - other.statements, self.messages - other.messages, self.fsyncs - other.fsyncs)


class FleetCloud(Cloud):
    """A fleet in `directory`; entered, all of its hosts are in service.  Raises CannotMeasure."""

    def __init__(self, directory: Path, plan: Plan = FAKE) -> None:
        self.fleet = Fleet(directory, plan)
        super().__init__(self.fleet.port, self.fleet.clouds)

    def start(self) -> None:
        """Start everything, and wait until it is ready."""
        try:
            self.fleet.start_engines(_wait)
            self.fleet.start_control(_wait)
            self.fleet.start_hosts(_wait)
        except LabError as exc:
            self.stop()
            raise CannotMeasure(exc.sentence) from exc

    def stop(self) -> None:
        """Stop everything."""
        self.log_out()
        for line in self.fleet.close():
            print(line, file=sys.stderr)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            for process in (*self.fleet.apis, *self.fleet.conductors):
                print(f"the last words of {process.name}:\n{tail(process.log, 6)}", file=sys.stderr)
        self.stop()

    def roots(self) -> Mapping[str, int]:
        engines = {"nats": self.fleet.nats.pid, "haproxy": self.fleet.balancer.pid, "postgres": self.fleet.postgres.pid}
        return {**{one.name: one.pid for one in self.fleet.services()}, **engines}

    # -- counting ------------------------------------------------------------------------------------------

    def count_statements(self) -> None:
        """Let PostgreSQL log every statement from now on.  BEGIN and COMMIT count as statements."""
        for word in ("ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()"):
            self.fleet.postgres.sql(word, "postgres")

    def counts(self) -> Counts:
        """The counters now.  This call executes one statement itself."""
        syncs = int(self.fleet.postgres.sql("SELECT wal_sync FROM pg_stat_wal", "postgres"))
        log = self.fleet.postgres.log.read_bytes()
        return Counts(log.count(b"LOG:  statement: ") + log.count(b"LOG:  execute "), int(self.nats("in_msgs")), syncs)

    def nats(self, key: str) -> Any:
        """A value of the NATS server's statistics."""
        connection = http.client.HTTPConnection("127.0.0.1", self.fleet.nats_status_port, timeout=10)
        try:
            connection.request("GET", "/varz")
            return json.loads(connection.getresponse().read())[key]
        finally:
            connection.close()


def _wait() -> None:
    """Nothing is shown while the fleet starts."""
