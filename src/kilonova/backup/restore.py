# SPDX-License-Identifier: Apache-2.0
"""Restoring a backup into a state directory that has no state of its own.

The whole backup is read and compared with the manifest before any file is moved into the directory.  Only regular files
with the names of a backup are accepted, and tarfile only reads them: nothing is written elsewhere, whatever the archive
contains. (tarfile's own data filter is not in every Python that this runs on, and allows more.)
"""

import json
import os
import re
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from kilonova import __version__
from kilonova.backup.archive import (
    CHUNK_BYTES,
    DATABASE,
    FORM,
    HEADER,
    IMAGES,
    KEYS,
    MANIFEST,
    MOST_JSON_BYTES,
    Hashed,
    Header,
    Progress,
)
from kilonova.base import sightings
from kilonova.base.errors import StateError
from kilonova.base.files import fsync_directory
from kilonova.compute import seeds
from kilonova.db import reserve
from kilonova.db.inspect import inspect
from kilonova.db.migrate import HEAD

SCRATCH = ".restore"
LOCKS = ("lock", "compute.lock", "conductor.lock")
HOSTS_OWN = (
    "instances",
    "chains",
    "libvirt.unsettled",
    "kvm-verdict.json",
    seeds.FILE,
    "clouds.yaml",
    ".cache",
    reserve.NAME,
    sightings.FILE,
)
"""Files that no backup contains, because they describe the machine or its present guests: a restore keeps them.  The
state directory is the home of the installed service's user, and libvirt's client keeps a cache there."""
_EXTENDED = frozenset(
    {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
)
MOST_EXTENDED_BYTES = 64 << 10
KEPT_FREE_BYTES = 64 << 20
"""The free space of a file system that a restore never uses, whatever the size of the backup."""
_IMAGE = re.compile(rf"{IMAGES}/[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}")


@dataclass(frozen=True, slots=True)
class Restored:
    header: Header
    images: int


class _Member(tarfile.TarInfo):
    """A member whose extended headers, which tarfile reads into memory, are as short as those of our backups."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        if found.type in _EXTENDED and found.size > MOST_EXTENDED_BYTES:
            raise tarfile.ReadError("an extended header is too large")
        return found


class _Unusable(Exception):
    """The reason why a file is not a usable backup, in a few words."""


def restore_backup(source: Path, state: Path, *, progress: Progress = lambda done: None) -> Restored:
    """Restore the contents of `source` into `state`.  The caller has locked it, and it contains only files of the
    machine.

    Blocks; raises StateError in one sentence: the directory is not empty, the backup is not complete, or a newer
    Kilonova made it.  The directory contains nothing of the backup then.
    """
    refuse_unless_empty(state)
    scratch = state / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scratch.mkdir(mode=0o700)
        with source.open("rb") as file:
            header, taken = _read(file, scratch, progress)
        _check_database(scratch / DATABASE)
        _install(scratch, state)
        return Restored(header, sum(name.startswith(f"{IMAGES}/") for name in taken))
    except (_Unusable, tarfile.TarError, EOFError) as exc:
        raise StateError(f"{source} is not a whole backup: {exc}.") from exc
    except OSError as exc:
        raise StateError(f"The backup {source} could not be restored into {state}: {exc}.") from exc
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def refuse_unless_empty(state: Path) -> None:
    """Check that the directory is empty.  Guests' disks may exist: a restored database describes them.  Raises
    StateError for other files."""
    others = sorted(entry.name for entry in state.iterdir() if entry.name not in (*LOCKS, *HOSTS_OWN, SCRATCH))
    if others:
        raise StateError(
            f"The state directory {state} is not empty ({', '.join(others[:5])}): move what is in it away first, "
            "all but instances and chains."
        )


def _read(file: IO[bytes], scratch: Path, progress: Progress) -> tuple[Header, Mapping[str, Any]]:
    header: Header | None = None
    taken: dict[str, dict[str, Any]] = {}
    with tarfile.open(fileobj=file, mode="r:", tarinfo=_Member) as tar:
        for member in tar:
            data = _data(tar, member)
            if member.name == MANIFEST:
                _compare(_json_of(data, member), taken)
                return _known(header), taken
            if header is None:
                header = _header(data, member)
            elif member.name in taken or not (member.name in (DATABASE, *KEYS) or _IMAGE.fullmatch(member.name)):
                raise _Unusable(f"{member.name!r} has no place in it")
            else:
                _check_room(scratch, member)
                taken[member.name] = _take(data, scratch / member.name, progress)
    raise _Unusable("its end is missing")


def _data(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    # A sparse file can declare any size with a few bytes; no backup contains one.
    data = tar.extractfile(member) if member.isreg() and not member.issparse() else None
    if data is None:
        raise _Unusable(f"{member.name!r} is not a regular file")
    return data


def _check_room(scratch: Path, member: tarfile.TarInfo) -> None:
    """Check the free space before the file is written: a file that is sparse at its source can be large here."""
    if shutil.disk_usage(scratch).free - member.size < KEPT_FREE_BYTES:
        raise StateError(f"There is no room for {member.name} of {member.size >> 20} MiB at {scratch.parent}.")


def _json_of(data: IO[bytes], member: tarfile.TarInfo) -> Any:
    if member.size > MOST_JSON_BYTES:
        raise _Unusable(f"{member.name!r} is too large")
    try:
        return json.loads(data.read())
    except ValueError as exc:
        raise _Unusable(f"{member.name!r} cannot be read") from exc


def _header(data: IO[bytes], member: tarfile.TarInfo) -> Header:
    if member.name != HEADER:
        raise _Unusable("it does not begin with a header")
    found = _json_of(data, member)
    try:
        newer = found["form"] > FORM or str(found["revision"]) > HEAD
        if newer:
            raise StateError(
                f"The backup was made by a newer Kilonova ({found['version']}, with a database of revision "
                f"{found['revision']}; this is {__version__}, which supports {HEAD}): restore it with that version."
            )
        return Header(**found)
    except (KeyError, TypeError) as exc:
        raise _Unusable("its header is incomplete") from exc


def _known(header: Header | None) -> Header:
    if header is None:
        raise _Unusable("it does not begin with a header")
    return header


def _take(data: IO[bytes], path: Path, progress: Progress) -> dict[str, Any]:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    source = Hashed(data, progress)
    with path.open("xb") as out:
        while chunk := source.read(CHUNK_BYTES):
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    path.chmod(0o600)
    return source.facts()


def _compare(manifest: Any, taken: Mapping[str, Any]) -> None:
    try:
        listed = dict(manifest["files"])
    except (KeyError, TypeError, ValueError) as exc:
        raise _Unusable("its manifest is incomplete") from exc
    for name in sorted(listed.keys() | taken.keys()):
        if name not in taken or listed.get(name) != taken[name]:
            raise _Unusable(f"{name!r} differs from its manifest")
    if DATABASE not in taken:
        raise _Unusable("it contains no database")


def _check_database(path: Path) -> None:
    facts = inspect(path)
    if facts.damage or facts.revision is None or facts.revision > HEAD:
        raise _Unusable(f"its database cannot be used ({facts.damage or f'revision {facts.revision}'})")


def _install(scratch: Path, state: Path) -> None:
    """Move every file to its place, the database last: the database makes the directory a state directory."""
    owner = state.stat()
    for path in scratch.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid)
    for name in (IMAGES, *KEYS, DATABASE):
        if (scratch / name).exists():
            if (scratch / name).is_dir():
                fsync_directory(scratch / name)
            (scratch / name).rename(state / name)
    fsync_directory(state)
