# SPDX-License-Identifier: Apache-2.0
"""`kilonova token`: the keys that sign the tokens of a fleet."""

from typing import Annotated

import typer

from kilonova.cmd.common import ConfigFiles, fleet_access
from kilonova.cmd.directory import group

app = group("Keys that sign the tokens of a fleet. The commands connect to a conductor over the bus.")


@app.callback()
def tokens() -> None:
    """Keys that sign the tokens of a fleet. The commands connect to a conductor over the bus."""


@app.command("rotate", short_help="Replace the key that signs tokens.")
def rotate(
    config_file: ConfigFiles = None,
    revoke: Annotated[bool, typer.Option(help="End all tokens that exist now, as after a theft of the key.")] = False,
) -> None:
    """Make a new key for tokens.

    All API processes use it within two minutes.  The former key verifies its tokens until the last one has expired;
    with --revoke it ends within seconds, and all users log in again.
    """
    import asyncio

    from kilonova.base.clock import SystemClock
    from kilonova.objects.signing_key import TOKENS
    from kilonova.rpc.nats import NatsBus
    from kilonova.rpcapi.api_to_conductor_admin import ROTATE_SIGNING_KEY, RotateSigningKey
    from kilonova.rpcapi.caller import Caller

    access = fleet_access(
        config_file,
        "There is no transport_url. The one box has its key in the file token.key of its state directory: stop it, "
        "delete the file and start it; all tokens end.",
    )

    async def call() -> None:
        clock = SystemClock()
        async with NatsBus(access, "operator", clock) as bus:
            request = RotateSigningKey(TOKENS, clock.new_id(), revoke)
            await Caller(bus, clock).call(ROTATE_SIGNING_KEY, request)

    asyncio.run(call())
    print("A new key signs tokens from now on." if revoke else "A new key signs tokens within two minutes.")
