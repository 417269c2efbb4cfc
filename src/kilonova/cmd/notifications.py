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

    from kilonova.db.opening import read_beside
    from kilonova.db.readers.notifications import newest

    state = read_settings(config_file, state_path).default.state_path
    for one in reversed(asyncio.run(read_beside(state, newest, limit))):
        facts = " ".join(f"{name}={value!r}" for name, value in one.payload.items())
        print(f"{one.created_at:%Y-%m-%d %H:%M:%SZ}  {one.priority}  {one.host}  {one.event_type}  {facts}")
