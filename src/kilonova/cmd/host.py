# SPDX-License-Identifier: Apache-2.0
"""`kilonova host`: operator commands for the hosts of a fleet."""

from typing import Annotated

import typer

from kilonova.cmd.common import ConfigFiles, read_settings
from kilonova.cmd.directory import group

app = group("Hosts of a fleet. The commands connect to the conductor over the bus.")


@app.callback()
def hosts() -> None:
    """Hosts of a fleet. The commands connect to the conductor over the bus."""


@app.command("adopt", short_help="Give a host to another process.")
def adopt(
    name: Annotated[str, typer.Argument(help="Name of the host.")],
    config_file: ConfigFiles = None,
) -> None:
    """Release a host name from its current process, for another process whose registration was refused.

    The current process ends and its guests keep running: shut down the wrong machine, or both machines run the same
    servers.  Then start the process that should own the host.  The next process that registers owns it.

    The command reads transport_url from the configuration of the conductor or of a host.
    """
    import asyncio

    from kilonova.base.clock import SystemClock
    from kilonova.base.errors import ConfigError
    from kilonova.objects.ids import HostName
    from kilonova.rpc.nats import NatsBus
    from kilonova.rpc.transport_url import guarded_url
    from kilonova.rpcapi.api_to_conductor_admin import ADOPT_HOST, Adopted, AdoptHost
    from kilonova.rpcapi.caller import Caller

    url = read_settings(config_file, None).default.transport_url
    if not url:
        raise ConfigError("There is no transport_url: the one box runs its conductor and its host in one process.")
    guarded_url(url)

    async def call() -> Adopted:
        clock = SystemClock()
        async with NatsBus(url, "operator", clock) as bus:
            return await Caller(bus, clock).call(ADOPT_HOST, AdoptHost(HostName(name)))

    adopted = asyncio.run(call())
    print(f"released by {adopted.former}")
    print(f"refused     {adopted.claimant}")
    print("Start the process that should own the host now; the former one ends and its guests keep running.")
