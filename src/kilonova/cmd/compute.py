# SPDX-License-Identifier: Apache-2.0
"""`kilonova-compute`: the process of a host.

It loads the driver, asks the conductor for work and hands it to the driver.  It has no database: neither the code nor
the URL.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType

import structlog

from kilonova.cmd.common import ending_in_one_sentence, stop_on_signals
from kilonova.cmd.service import DRAIN_S, announce, begin_to_stop, configure, read, run
from kilonova.config.load import Settings

log = structlog.get_logger(__name__)

PROGRAM = "kilonova-compute"
FORBIDDEN = frozenset({"kilonova.db", "kilonova.conductor", "sqlalchemy", "alembic", "psycopg"})


class DatabaseForbidden(ImportError):
    """Something in a compute process wanted the database."""


class DatabaseGuard:
    """A finder that refuses the database's modules, before any other finder is asked.

    The structure of the house keeps them out; this is for the day when somebody breaks it, or a driver from elsewhere
    does.
    """

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raises DatabaseForbidden for a forbidden module; says nothing of any other."""
        if any(fullname == name or fullname.startswith(f"{name}.") for name in FORBIDDEN):
            raise DatabaseForbidden(
                f"{fullname} must not be imported in {PROGRAM}: a host asks the conductor, it has no database.",
                name=fullname,
            )
        return None


def forbid_database() -> None:
    """From now on this process cannot import the database.  Once is enough."""
    if not any(isinstance(finder, DatabaseGuard) for finder in sys.meta_path):
        sys.meta_path.insert(0, DatabaseGuard())


def without_database(settings: Settings) -> Settings:
    """Settings that hold no database URL; says so if there was one."""
    if settings.database.connection:
        log.warning("a host needs no database: take [database] connection out of its configuration")
    return replace(settings, database=replace(settings.database, connection=""))


def main(argv: Sequence[str] | None = None) -> None:
    """The console script.  Exit status 0 after SIGTERM or SIGINT, 1 with one sentence when it cannot begin."""
    with ending_in_one_sentence():
        settings = configure(PROGRAM, "The compute service of one host.", argv)
        if not settings.conductor.use_local:
            forbid_database()
            settings = without_database(settings)
        run(settings.default.state_path, "compute", serve(settings, partial(read, PROGRAM, argv)))


async def serve(settings: Settings, again: Callable[[], Settings]) -> None:
    """Until a signal; then take no more work, give what is in hand DRAIN_S seconds, and let go."""
    from kilonova.base.clock import SystemClock
    from kilonova.base.failpoints import from_environment
    from kilonova.base.tasks import Supervisor
    from kilonova.cmd.service_lifecycle import Hangup, service_lifecycle
    from kilonova.wiring import compute_process

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
        print(f"{left} unfinished actions are left to the next {PROGRAM} of this host.")
    print(f"{PROGRAM} stopped; guests keep running.", flush=True)
