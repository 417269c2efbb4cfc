# SPDX-License-Identifier: Apache-2.0
"""Making a backup of a state directory while a service may be running on it."""

import os
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kilonova import __version__
from kilonova.backup.archive import DATABASE, FORM, IMAGES, KEYS, Header, Progress, Writer
from kilonova.base.clock import Clock
from kilonova.base.errors import DatabaseUnreadable, StateError
from kilonova.base.files import rename_file
from kilonova.db.copies import copy_database, forget_images
from kilonova.db.inspect import image_sizes, inspect


@dataclass(frozen=True, slots=True)
class Made:
    """`missing`: images that were deleted during the backup; it contains their records, but not their bytes."""

    n_bytes: int
    images: int
    missing: Sequence[str]


Begin = Callable[[int], Progress]
"""Receives the total number of bytes; returns the callback that receives the size of each piece."""


def make_backup(
    state: Path, target: Path, host: str, clock: Clock, *, images: bool, begin: Begin = lambda total: lambda done: None
) -> Made:
    """Write the backup to `target`.  The file appears only when it is complete.  Only its owner can read it, it is on
    stable storage, and it replaces an older file.

    The backup contains the database as of one moment.  Without `images` it contains neither the bytes of images nor
    their records.  Blocks; raises StateError in one sentence, and leaves no file then.
    """
    if not (state / DATABASE).exists():
        raise StateError(f"There is no database {state / DATABASE}: nothing to back up.")
    if not target.parent.is_dir():
        raise StateError(f"There is no directory {target.parent} for the backup.")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise StateError(f"The directory {target.parent} of the backup cannot be written to.")
    if target.exists() and not target.is_file():
        raise StateError(f"{target} is not a file that a backup could replace.")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            database = Path(scratch) / DATABASE
            copy_database(state / DATABASE, database)
            wanted = list(image_sizes(database)) if images else []
            if not images:
                forget_images(database)
            part = Path(scratch) / "part"
            header = Header(FORM, __version__, _revision(database), clock.now().isoformat(), host, images)
            files = {DATABASE: database, **{name: state / name for name in KEYS if (state / name).exists()}}
            made = _write(part, files, {image: state / IMAGES / image for image in wanted}, header, clock, begin)
            rename_file(part, target)
            return made
    except (OSError, DatabaseUnreadable, tarfile.TarError) as exc:
        raise StateError(f"The backup of {state} could not be made: {exc}.") from exc


def _revision(database: Path) -> str:
    facts = inspect(database)
    if facts.damage or facts.revision is None:
        raise StateError(f"The database is not whole, and is not backed up: {facts.damage or 'it has no revision'}.")
    return facts.revision


def _write(
    part: Path, files: Mapping[str, Path], found: Mapping[str, Path], header: Header, clock: Clock, begin: Begin
) -> Made:
    progress = begin(sum(path.stat().st_size for path in (*files.values(), *found.values()) if path.exists()))
    missing: list[str] = []
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            writer = Writer(tar, header, clock.now().timestamp(), progress)
            for name, path in files.items():
                writer.add_file(name, path)
            for image, path in found.items():
                try:
                    writer.add_file(f"{IMAGES}/{image}", path)
                except FileNotFoundError:
                    missing.append(image)
            writer.finish()
        out.flush()
        os.fsync(out.fileno())
    return Made(part.stat().st_size, len(found) - len(missing), missing)
