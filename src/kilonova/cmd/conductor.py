# SPDX-License-Identifier: Apache-2.0
"""`kilonova-conductor`: the process that owns the database, for the API and for hosts."""

import os
from collections.abc import Callable, Sequence
from functools import partial

from kilonova.base.program import program
from kilonova.cmd.common import ending_in_one_sentence, stop_on_signals
from kilonova.cmd.service import announce, begin_to_stop, configure, read, run
from kilonova.config.load import Settings

PROGRAM = "kilonova-conductor"


@program
def main(argv: Sequence[str] | None = None) -> None:
    """The console script.  Exit status 0 after SIGTERM or SIGINT, 1 with one sentence when it cannot start."""
    with ending_in_one_sentence():
        settings = configure(PROGRAM, "The conductor: it owns the database.", argv)
        run(settings.default.state_path, "conductor", serve(settings, partial(read, PROGRAM, argv)))


async def serve(settings: Settings, again: Callable[[], Settings]) -> None:
    """Run until a signal.  Then answer the requests that are in progress, and stop.  Accepted actions are on disk."""
    from kilonova.base.clock import SystemClock
    from kilonova.base.failpoints import from_environment
    from kilonova.base.tasks import Supervisor
    from kilonova.cmd.service_lifecycle import Hangup, service_lifecycle
    from kilonova.wiring.conductor import conductor_process

    clock = SystemClock()
    stop = stop_on_signals()
    failpoints = from_environment(os.environ)
    async with conductor_process(settings, clock, failpoints) as process, Supervisor(clock) as tasks:
        tasks.spawn("announce", announce(PROGRAM, process.ready, clock))
        async with service_lifecycle(process.vitals, settings, Hangup(again), clock, process.ready):
            await stop.wait()
        begin_to_stop(PROGRAM)
    print(f"{PROGRAM} stopped.", flush=True)
