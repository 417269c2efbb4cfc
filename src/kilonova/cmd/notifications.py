# SPDX-License-Identifier: Apache-2.0
"""`kilonova notifications`: what an operator should have heard of."""

from typing import Annotated

import typer

from kilonova.cmd.common import ConfigFiles, StatePath, read_settings


def notifications(
    config_file: ConfigFiles = None,
    state_path: StatePath = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest last.")] = 20,
) -> None:
    """Print the newest notifications, such as compute.libvirt.error, a line each: time, host, what, facts.

    Reads the database beside a running service; the newest 1000 are kept.
    """
    import asyncio

    from sqlalchemy.exc import DatabaseError

    from kilonova.base.errors import StateError
    from kilonova.base.threads import InlineWorkers
    from kilonova.db.engine import Database, sqlite_url
    from kilonova.db.readers.notifications import newest
    from kilonova.objects.notification import Notification

    path = read_settings(config_file, state_path).default.state_path / "kilonova.db"
    if not path.exists():
        raise StateError(f"There is no database {path}.")

    async def read() -> list[Notification]:
        db = Database(sqlite_url(path), writer=InlineWorkers(), reader=InlineWorkers())
        try:
            return await db.read(newest, limit)
        finally:
            await db.close()

    try:
        found = asyncio.run(read())
    except DatabaseError as exc:
        raise StateError(f"The database {path} cannot be read: {exc.orig}.") from exc
    for one in reversed(found):
        facts = " ".join(f"{name}={value!r}" for name, value in one.payload.items())
        print(f"{one.created_at:%Y-%m-%d %H:%M:%SZ}  {one.priority}  {one.host}  {one.event_type}  {facts}")
