# SPDX-License-Identifier: Apache-2.0
"""`kilonova notifications`: prints the notifications for operators."""

from typing import Annotated

import typer

from kilonova.cmd.common import ConfigFiles, StatePath, read_settings


def notifications(
    config_file: ConfigFiles = None,
    state_path: StatePath = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of notifications; the newest is last.")] = 20,
    after: Annotated[int | None, typer.Option(min=0, help="Print the first notifications after this number.")] = None,
) -> None:
    """Print the newest notifications, such as instance.create.end, one per line: number, time, host, type, facts.

    The command reads the database and may run beside the service.  The service keeps the newest 10000.  A program that
    missed messages on the bus continues with --after and the last number that it received.
    """
    import asyncio

    from kilonova.db.opening import read_beside
    from kilonova.db.readers import notifications as read_notifications

    settings = read_settings(config_file, state_path)
    where = (settings.default.state_path, settings.database)
    if after is None:
        found = asyncio.run(read_beside(*where, read_notifications.newest, limit))[::-1]
    else:
        found = asyncio.run(read_beside(*where, read_notifications.after, after, limit))
    for number, one in ((each.number, each.notification) for each in found):
        facts = " ".join(f"{name}={value!r}" for name, value in one.payload.items())
        print(f"{number:6}  {one.created_at:%Y-%m-%d %H:%M:%SZ}  {one.priority}  {one.host}  {one.event_type}  {facts}")
