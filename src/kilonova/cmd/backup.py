# SPDX-License-Identifier: Apache-2.0
"""`kilonova backup` and `kilonova restore`: a host's state as one file."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from kilonova.cmd.common import ConfigFiles, StatePath, read_settings

NOT_IN_IT = "Guest disks are not included: copy them from inside the guests, or while the guests are off."


def backup(
    file: Annotated[Path, typer.Argument(help="Backup file to write. An existing file is replaced.")],
    config_file: ConfigFiles = None,
    state_path: StatePath = None,
    images: Annotated[bool, typer.Option(help="Include images and their records.")] = True,
) -> None:
    """Write the database, images, the host identity and the token key into one file (mode 0600).

    The service may run during the backup.  Guest disks are not included: a copy of the disk of a running guest would be
    inconsistent.
    """
    from kilonova.backup.make import make_backup
    from kilonova.base.clock import SystemClock
    from kilonova.db.location import refuse_on_server

    settings = read_settings(config_file, state_path)
    refuse_on_server(settings.database.connection, settings.default.state_path, "A backup")
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
        print(f"Image {image} was deleted during the backup: the backup has its record and not its data.")
    print(f"Keep it secret, like the keys of the machine: it allows its reader to create tokens. {NOT_IN_IT}")


def restore(
    file: Annotated[Path, typer.Argument(help="A backup of this host.", exists=True, dir_okay=False)],
    config_file: ConfigFiles = None,
    state_path: StatePath = None,
) -> None:
    """Restore a backup into a state directory that is empty except for guest disks.  The service must not run.

    The next start manages the running guests again.  Guests that were created after the backup have no record then:
    the service reports them and does not change them.
    """
    from kilonova.backup.restore import restore_backup
    from kilonova.cmd.common import prepare_state
    from kilonova.db.location import refuse_on_server

    settings = read_settings(config_file, state_path)
    state = settings.default.state_path
    refuse_on_server(settings.database.connection, state, "A restore")
    with prepare_state(state), _bar(f"restore into {state}") as begin:
        restored = restore_backup(file, state, progress=begin(file.stat().st_size))
    header = restored.header
    print(f"{state} is restored to {header.created_at} on {header.host}, with {restored.images} images.")
    if not header.images:
        print("The backup contains no images: there are none now.")
    print(f"{NOT_IN_IT}\nStart the service: it manages the running guests again.")


@contextmanager
def _bar(what: str) -> Generator[Callable[[int], Callable[[int], None]]]:
    """Show a progress bar on standard error if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def begin(total: int) -> Callable[[int], None]:
            task = progress.add_task(what, total=total)
            return lambda done: progress.advance(task, done)

        yield begin
