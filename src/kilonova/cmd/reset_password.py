# SPDX-License-Identifier: Apache-2.0
"""`kilonova reset-password`: sets a new password, for an administrator who lost the password."""

from typing import TYPE_CHECKING, Annotated

import typer

from kilonova.base.errors import NotFound, StateError
from kilonova.cmd.common import ConfigFiles, StatePath, prepare_state, read_settings
from kilonova.cmd.directory import new_password

if TYPE_CHECKING:
    from kilonova.base.clock import Clock
    from kilonova.db.engine import Database


def reset_password(
    user: Annotated[str, typer.Argument(help="Name of the user.")] = "admin",
    config_file: ConfigFiles = None,
    state_path: StatePath = None,
) -> None:
    """Set a new password of a user without the old one, and enable the user.

    The command changes the database directly.  A one box must not run meanwhile; the processes of a fleet may.  It
    prompts for the password, or reads it from standard input.  The user's tokens end.  If the service runs and an
    administrator can log in, use `kilonova user set`.
    """
    import asyncio

    from kilonova.base.clock import SystemClock
    from kilonova.db.existing import open_existing
    from kilonova.db.location import existing_database, is_on_server
    from kilonova.wiring.shared import open_database

    settings, clock = read_settings(config_file, state_path), SystemClock()
    state, database = settings.default.state_path, settings.database
    if not is_on_server(database.connection, state):
        existing_database(state)
    in_fleet = settings.default.in_fleet
    with prepare_state(state, "reset-password" if in_fleet else None):
        new = new_password(user)
        db = open_existing(state, database, clock) if in_fleet else open_database(settings, clock)
        asyncio.run(_reset(db, user, new, clock))
    print(f"{user} has a new password: write it to the clouds.yaml{'' if in_fleet else ' and start the service'}.")


async def _reset(db: "Database", name: str, password: str, clock: "Clock") -> None:
    from kilonova.base.threads import DaemonWorkers
    from kilonova.conductor.identity_edits import update_user
    from kilonova.db.existing import schema_trouble
    from kilonova.db.readers.identity import find_user
    from kilonova.identity.passwords import Passwords
    from kilonova.rpcapi.api_to_conductor_identity import UpdateUser

    try:
        if trouble := await db.read(schema_trouble):
            raise StateError(trouble)
        found = await db.read(find_user, name=name)
        if found is None:
            raise NotFound(f"There is no user called {name}.")
        hashed = await Passwords(DaemonWorkers("argon2", 1)).hash(password)
        await db.write(update_user, UpdateUser(found.id, password_hash=hashed, enabled=True), clock.now())
    finally:
        await db.close()
