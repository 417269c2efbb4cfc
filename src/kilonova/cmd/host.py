# SPDX-License-Identifier: Apache-2.0
"""`kilonova host`: an operator's word on the hosts of a fleet."""

from typing import Annotated

import typer

from kilonova.cmd.common import ConfigFiles, read_settings
from kilonova.cmd.directory import group

app = group("Hosts of a fleet. Speaks to the conductor over the bus.")


@app.callback()
def hosts() -> None:
    """Hosts of a fleet. Speaks to the conductor over the bus."""


@app.command("adopt", short_help="Let another process have a host.")
def adopt(
    name: Annotated[str, typer.Argument(help="Name of the host.")],
    config_file: ConfigFiles = None,
) -> None:
    """Take a host from the process that has it, for another one that was refused.

    The process that has it ends and leaves its guests running: shut down the machine that is the wrong one, or both run
    the same servers.  Then start the process that is to have the host; whichever registers next has it.

    The configuration is the conductor's or a host's, for its transport_url.
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
        raise ConfigError("There is no transport_url: the one box has its conductor and its host in one process.")
    guarded_url(url)

    async def ask() -> Adopted:
        clock = SystemClock()
        async with NatsBus(url, "operator", clock) as bus:
            return await Caller(bus, clock).call(ADOPT_HOST, AdoptHost(HostName(name)))

    adopted = asyncio.run(ask())
    print(f"taken from  {adopted.former}")
    print(f"refused was {adopted.claimant}")
    print("Start the process that is to have the host now; the former one ends and leaves its guests running.")
