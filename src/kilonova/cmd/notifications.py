# SPDX-License-Identifier: Apache-2.0
"""`kilonova notifications`: prints the notifications for operators."""

from typing import Annotated

import typer

from kilonova.cmd.common import ConfigFiles, StatePath, read_settings


def notifications(
    config_file: ConfigFiles = None,
    state_path: StatePath = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of notifications; the newest is last.")] = 20,
) -> None:
    """Print the newest notifications, such as compute.libvirt.error, one per line: time, host, type, facts.

    The command reads the database and may run beside the service.  The service keeps the newest 1000.
    """
    import asyncio

    from kilonova.db.opening import read_beside
    from kilonova.db.readers.notifications import newest

    settings = read_settings(config_file, state_path)
    for one in reversed(asyncio.run(read_beside(settings.default.state_path, settings.database, newest, limit))):
        facts = " ".join(f"{name}={value!r}" for name, value in one.payload.items())
        print(f"{one.created_at:%Y-%m-%d %H:%M:%SZ}  {one.priority}  {one.host}  {one.event_type}  {facts}")
