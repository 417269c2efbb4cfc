# SPDX-License-Identifier: Apache-2.0
"""`kilonova-compute`: the compute process of a host.

It loads the driver, fetches work from the conductor and runs it with the driver.  It has no access to the database: it
has neither the code nor the URL.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType

import structlog

from kilonova.base.program import program
from kilonova.cmd.common import ending_in_one_sentence, stop_on_signals
from kilonova.cmd.service import DRAIN_S, announce, begin_to_stop, configure, read, run
from kilonova.config.load import Settings

log = structlog.get_logger(__name__)

PROGRAM = "kilonova-compute"
FORBIDDEN = frozenset({"kilonova.db", "kilonova.conductor", "sqlalchemy", "alembic", "psycopg"})


class DatabaseForbidden(ImportError):
    """Code in a compute process tried to import the database."""


class DatabaseGuard:
    """An import finder that refuses the modules of the database.  It is the first finder.

    The import rules keep these modules out; this finder also stops an external driver.
    """

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raises DatabaseForbidden for a forbidden module; returns None for any other."""
        if any(fullname == name or fullname.startswith(f"{name}.") for name in FORBIDDEN):
            raise DatabaseForbidden(
                f"{fullname} must not be imported in {PROGRAM}: a host uses the conductor and has no database.",
                name=fullname,
            )
        return None


def forbid_database() -> None:
    """Prevent imports of the database in this process from now on.  Idempotent."""
    if not any(isinstance(finder, DatabaseGuard) for finder in sys.meta_path):
        sys.meta_path.insert(0, DatabaseGuard())


def without_database(settings: Settings) -> Settings:
    """The settings without the database URL.  Logs a warning if there was one."""
    if settings.database.connection:
        log.warning("a host needs no database: remove [database] connection from its configuration")
    return replace(settings, database=replace(settings.database, connection=""))


@program
def main(argv: Sequence[str] | None = None) -> None:
    """The console script.  Exit status 0 after SIGTERM or SIGINT, 1 with one sentence when it cannot start."""
    with ending_in_one_sentence():
        settings = configure(PROGRAM, "The compute service of one host.", argv)
        if not settings.conductor.use_local:
            forbid_database()
            settings = without_database(settings)
        run(settings.default.state_path, "compute", serve(settings, partial(read, PROGRAM, argv)))


async def serve(settings: Settings, again: Callable[[], Settings]) -> None:
    """Run until a signal.  Then accept no more work, give running actions DRAIN_S seconds, and stop."""
    from kilonova.base.clock import SystemClock
    from kilonova.base.failpoints import from_environment
    from kilonova.base.tasks import Supervisor
    from kilonova.cmd.service_lifecycle import Hangup, service_lifecycle
    from kilonova.wiring.compute import compute_process

    clock = SystemClock()
    stop = stop_on_signals()
    failpoints = from_environment(os.environ)
    async with compute_process(settings, clock, failpoints) as process, Supervisor(clock) as tasks:
        manager = process.manager
        tasks.spawn("announce", announce(PROGRAM, manager.ready, clock))
        hangup = Hangup(again, manager.reload)
        async with service_lifecycle(process.vitals, settings, hangup, clock, manager.ready):
            await stop.wait()
        begin_to_stop(PROGRAM)
        left = await manager.drain(DRAIN_S)
    if left:
        print(f"{left} unfinished actions: the next {PROGRAM} of this host continues them.")
    print(f"{PROGRAM} stopped; guests keep running.", flush=True)
