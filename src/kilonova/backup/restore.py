# SPDX-License-Identifier: Apache-2.0
"""Bringing a backup into a state directory that has nothing of its own.

Everything is read, and compared with the manifest, before anything of it gets its place.  Only regular files of names
that a backup can have are taken, and tarfile only reads them: nothing is written elsewhere, whatever the archive says.
(Its own data filter is not in every Python that this runs on, and allows more.)
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
from kilonova.base.errors import StateError
from kilonova.compute import seeds
from kilonova.db import reserve
from kilonova.db.copies import fsync_directory
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
)
"""What no backup has, because it is about the machine or its guests as they are: it stays.  The state directory is the
home of the installed service's user, and libvirt's client keeps a cache in there."""
_EXTENDED = frozenset(
    {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
)
MOST_EXTENDED_BYTES = 64 << 10
KEPT_FREE_BYTES = 64 << 20
"""What a restore leaves of a file system, whatever the backup says."""
_IMAGE = re.compile(rf"{IMAGES}/[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}")


@dataclass(frozen=True, slots=True)
class Restored:
    header: Header
    images: int


class _Member(tarfile.TarInfo):
    """One whose extended headers, which tarfile reads into memory, are as short as any of ours."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        if found.type in _EXTENDED and found.size > MOST_EXTENDED_BYTES:
            raise tarfile.ReadError("an extended header is too large")
        return found


class _Unusable(Exception):
    """Why a file is not a usable backup, in a few words."""


def restore_backup(source: Path, state: Path, *, progress: Progress = lambda done: None) -> Restored:
    """Put what is in `source` into `state`, which the caller holds, and which has no more than what is the machine's.

    Blocks; raises StateError in one sentence: the directory is not empty, the backup is not whole, or of a newer
    Kilonova.  Nothing of the backup is in the directory then.
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
    """Guests' disks may be there: they are what a restored database is about.  Raises StateError for what may not."""
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
    # A sparse file is a few bytes that say they are as many as one likes: a backup has none.
    data = tar.extractfile(member) if member.isreg() and not member.issparse() else None
    if data is None:
        raise _Unusable(f"{member.name!r} is no regular file")
    return data


def _check_room(scratch: Path, member: tarfile.TarInfo) -> None:
    """Before any of it is written: a file of mostly nothing can be small where it comes from, and not here."""
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
        raise _Unusable("it does not begin as one")
    found = _json_of(data, member)
    try:
        newer = found["form"] > FORM or str(found["revision"]) > HEAD
        if newer:
            raise StateError(
                f"The backup was made by a newer Kilonova ({found['version']}, with a database of revision "
                f"{found['revision']}; this is {__version__}, which knows {HEAD}): restore it with that one."
            )
        return Header(**found)
    except (KeyError, TypeError) as exc:
        raise _Unusable("its header says too little") from exc


def _known(header: Header | None) -> Header:
    if header is None:
        raise _Unusable("it does not begin as one")
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
        raise _Unusable("its manifest says too little") from exc
    for name in sorted(listed.keys() | taken.keys()):
        if name not in taken or listed.get(name) != taken[name]:
            raise _Unusable(f"{name!r} is not what its manifest says")
    if DATABASE not in taken:
        raise _Unusable("it holds no database")


def _check_database(path: Path) -> None:
    facts = inspect(path)
    if facts.damage or facts.revision is None or facts.revision > HEAD:
        raise _Unusable(f"its database cannot be used ({facts.damage or f'revision {facts.revision}'})")


def _install(scratch: Path, state: Path) -> None:
    """Give everything its place, the database last: it is what makes the directory a state."""
    owner = state.stat()
    for path in scratch.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid)
    for name in (IMAGES, *KEYS, DATABASE):
        if (scratch / name).exists():
            if (scratch / name).is_dir():
                fsync_directory(scratch / name)
            (scratch / name).rename(state / name)
    fsync_directory(state)
