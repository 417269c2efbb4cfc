# SPDX-License-Identifier: Apache-2.0
"""`kilonova token`: the keys that sign the tokens of a fleet."""

from typing import Annotated

import typer

from kilonova.cmd.common import ConfigFiles
from kilonova.cmd.directory import group
from kilonova.cmd.operator_call import ask_conductor, fleet_access

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
    from kilonova.base.clock import SystemClock
    from kilonova.objects.signing_key import TOKENS
    from kilonova.rpcapi.api_to_conductor_admin import ROTATE_SIGNING_KEY, RotateSigningKey

    access = fleet_access(
        config_file,
        "There is no transport_url. The one box has its key in the file token.key of its state directory: stop it, "
        "delete the file and start it; all tokens end.",
    )
    request = RotateSigningKey(TOKENS, SystemClock().new_id(), revoke)
    ask_conductor(access, lambda caller: caller.call(ROTATE_SIGNING_KEY, request))
    print("A new key signs tokens from now on." if revoke else "A new key signs tokens within two minutes.")
