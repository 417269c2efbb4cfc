# SPDX-License-Identifier: Apache-2.0
"""`kilonova bootstrap`: the first administrator of a fleet."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kilonova.base.errors import StateError
from kilonova.cmd.common import ConfigFiles, StatePath, read_settings

if TYPE_CHECKING:
    from kilonova.config.load import Settings


def bootstrap(
    config_file: ConfigFiles = None,
    state_path: StatePath = None,
    clouds_file: Annotated[Path | None, typer.Option(help="Write the clouds.yaml here (mode 0600).")] = None,
) -> None:
    """Create the first administrator of a fleet, the first project and the usual flavors, once.

    Run it with the configuration of an API process or a conductor, after the first start of a conductor.  It prints a
    clouds.yaml with the password, or writes it to --clouds-file; the password is stored nowhere else.  A second run
    changes nothing and fails.  The one box does the same at its first start.
    """
    import asyncio
    import sys

    from kilonova.cmd import clouds
    from kilonova.cmd.listener import url_of

    settings = read_settings(config_file, state_path)
    url = url_of(settings.api.listen, settings.api.port, settings.api)
    if clouds_file is not None:
        clouds.check_writable(clouds_file.expanduser(), first_start=True)
    password = asyncio.run(_create(settings))
    if clouds_file is None:
        print(clouds.clouds_yaml(url, password), end="")
        return
    try:
        clouds.write(clouds_file.expanduser(), url, password)
        print(f"The administrator is in {clouds_file}.")
    except StateError as exc:  # the password must not be lost
        print(f"kilonova: {exc}", file=sys.stderr)
        print(clouds.clouds_yaml(url, password), end="")


async def _create(settings: "Settings") -> str:
    """The password of the new administrator.  Raises StateError when there is one already."""
    from kilonova.base.clock import SystemClock
    from kilonova.base.threads import DaemonWorkers
    from kilonova.db.existing import open_existing, schema_trouble
    from kilonova.identity.passwords import Passwords
    from kilonova.wiring.shared import bootstrap_cloud

    clock = SystemClock()
    db = open_existing(settings.default.state_path, settings.database, clock)
    try:
        if trouble := await db.read(schema_trouble):
            raise StateError(trouble)
        password = await bootstrap_cloud(db, Passwords(DaemonWorkers("argon2", 1)), clock)
    finally:
        await db.close()
    if password is None:
        raise StateError(
            "There are users already, so nothing was created: `kilonova reset-password` sets a new password of the "
            "administrator."
        )
    return password
