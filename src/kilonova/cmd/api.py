# SPDX-License-Identifier: Apache-2.0
"""`kilonova-api`: the HTTP API of a fleet, in a process of its own.  Any number of them run behind a balancer."""

import os
import socket
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from kilonova.base.program import program
from kilonova.cmd.common import ending_in_one_sentence, stop_on_signals
from kilonova.cmd.service import announce, begin_to_stop, configure, read, run
from kilonova.config.load import Settings

log = structlog.get_logger(__name__)

PROGRAM = "kilonova-api"


@program
def main(argv: Sequence[str] | None = None) -> None:
    """The console script.  Exit status 0 after SIGTERM or SIGINT, 1 with one sentence when it cannot start."""
    with ending_in_one_sentence():
        from kilonova.api.http.tls import make_context, refuse_plain_beyond_loopback
        from kilonova.cmd.listener import bind

        settings = configure(PROGRAM, "The HTTP API of a fleet: it reads the database, and uses the conductors.", argv)
        api = settings.api
        refuse_plain_beyond_loopback(api)
        make_context(api)  # an unusable certificate ends the start here
        with bind(api.listen, api.port) as listener:
            # Several processes may share a directory (of images); the port tells them apart.
            role = f"api-{listener.getsockname()[1]}"
            run(settings.default.state_path, role, serve(settings, listener, partial(read, PROGRAM, argv)))


async def serve(settings: Settings, listener: socket.socket, again: Callable[[], Settings]) -> None:
    """Run until a signal.  Then answer the requests that are in progress, and stop."""
    from kilonova.api.http.tls import is_exposed, make_context
    from kilonova.base.clock import SystemClock
    from kilonova.base.failpoints import from_environment
    from kilonova.base.tasks import Supervisor
    from kilonova.base.threads import start_daemon
    from kilonova.cmd.listener import reload, url_of
    from kilonova.cmd.service_lifecycle import Hangup, service_lifecycle
    from kilonova.wiring.api import api_process

    clock = SystemClock()
    stop = stop_on_signals()
    if is_exposed(settings.api):
        log.warning("plain HTTP is served to other machines: passwords and tokens are readable on the network")
    async with api_process(settings, clock, from_environment(os.environ)) as process, Supervisor(clock) as tasks:
        server = process.server(make_context(settings.api))
        serving = tasks.spawn("http", server.serve(sockets=[listener]))
        address, port = listener.getsockname()[:2]
        log.info("the API listens", url=url_of(address, port, settings.api))
        tasks.spawn("announce", announce(PROGRAM, process.ready, clock))
        start_daemon("policy", process.policy.prepare)
        hangup = Hangup(again, partial(reload, process, server))
        async with service_lifecycle(process.vitals, settings, hangup, clock, process.ready):
            await stop.wait()
        begin_to_stop(PROGRAM)
        server.stop()
        await serving
    print(f"{PROGRAM} stopped.", flush=True)
