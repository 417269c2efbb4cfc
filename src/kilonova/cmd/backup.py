# SPDX-License-Identifier: Apache-2.0
"""`kilonova backup` and `kilonova restore`: a host's state as one file."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from kilonova.cmd.common import ConfigFiles, StatePath, read_settings

NOT_IN_IT = "Guests' disks are not in it: copy those from inside the guests, or while they are off."


def backup(
    file: Annotated[Path, typer.Argument(help="Where the backup goes; an older one of that name is replaced.")],
    config_file: ConfigFiles = None,
    state_path: StatePath = None,
    images: Annotated[bool, typer.Option(help="Images, with their records.")] = True,
) -> None:
    """Write the database, images, the host's identity and the token key into one file (mode 0600).

    The service may run meanwhile.  Guests' disks are not in it: of a guest that runs they could only be torn.
    """
    from kilonova.backup.make import make_backup
    from kilonova.base.clock import SystemClock

    settings = read_settings(config_file, state_path)
    with _bar(f"backup of {settings.default.state_path}") as begin:
        made = make_backup(
            settings.default.state_path,
            file.absolute(),
            settings.default.host,
            SystemClock(),
            images=images,
            begin=begin,
        )
    print(f"{file}  {made.n_bytes / 1e6:.1f} MB: the database, the keys, {made.images} images.")
    for image in made.missing:
        print(f"Image {image} was deleted meanwhile: its record is in the backup, its bytes are not.")
    print(f"Keep it as you keep the machine's keys: who has it can make tokens. {NOT_IN_IT}")


def restore(
    file: Annotated[Path, typer.Argument(help="A backup of this host.", exists=True, dir_okay=False)],
    config_file: ConfigFiles = None,
    state_path: StatePath = None,
) -> None:
    """Bring a backup into an empty state directory (guests' disks may be in it); the service must not run.

    Guests that run are taken back by the next start.  What was made after the backup is no instance then: it is
    reported, and left alone.
    """
    from kilonova.backup.restore import restore_backup
    from kilonova.cmd.common import prepare_state

    state = read_settings(config_file, state_path).default.state_path
    with prepare_state(state), _bar(f"restore into {state}") as begin:
        restored = restore_backup(file, state, progress=begin(file.stat().st_size))
    header = restored.header
    print(f"{state} is as it was at {header.created_at} on {header.host}, with {restored.images} images.")
    if not header.images:
        print("The backup was made without images: there are none now.")
    print(f"{NOT_IN_IT}\nStart the service: guests that run are taken back.")


@contextmanager
def _bar(what: str) -> Generator[Callable[[int], Callable[[int], None]]]:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def begin(total: int) -> Callable[[int], None]:
            task = progress.add_task(what, total=total)
            return lambda done: progress.advance(task, done)

        yield begin
