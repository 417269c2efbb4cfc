# SPDX-License-Identifier: Apache-2.0
"""Files and directories with a given mode, independent of the umask, and on stable storage: what a function here has
made, renamed or removed when it returns is so after a loss of power.  All functions block."""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

PASSABLE = 0o711
"""Other users may pass through the directory, as the QEMU user must, but not list it."""


def make_directory(path: Path, mode: int = PASSABLE) -> bool:
    """Ensure that the directory exists.  A new directory has this mode; new parent directories are PASSABLE.  Returns
    whether it was created."""
    if path.is_dir():
        return False
    if not path.parent.is_dir():
        make_directory(path.parent)
    try:
        path.mkdir()
    except FileExistsError:
        if path.is_dir():
            return False  # another process created it
        raise
    path.chmod(mode)
    fsync_directory(path.parent)
    return True


def make_file(path: Path) -> None:
    """Replace the path with an empty file for its owner only: the writer needs no permission to create files.  It is
    not on stable storage before `publish`."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def open_plain(path: Path | str) -> BinaryIO:
    """Open a regular file for reading, and nothing else.  QEMU may have put an entry into the guest's directory, such
    as a link to a file that only this service may read.  Raises OSError."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return file


def replace_file(
    path: Path, contents: bytes, *, directory_mode: int = PASSABLE, mode: int = 0o600, gid: int | None = None
) -> None:
    """Replace the file with `contents`: after a failure or a loss of power it is the old one or the new one.  Only its
    owner can read it, unless `mode` and `gid` permit others."""
    make_directory(path.parent, directory_mode)
    unfinished = path.with_name(f"{path.name}.unfinished")
    make_file(unfinished)
    try:
        with unfinished.open("wb") as file:
            file.write(contents)
            if gid is not None:
                os.fchown(file.fileno(), -1, gid)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        unfinished.unlink()  # (it may contain a secret)
        raise
    rename_file(unfinished, path)


def publish(unfinished: Path, path: Path) -> None:
    """Give a complete file its name.  Only a regular file is published: it may lie in a directory of QEMU's."""
    with open_plain(unfinished) as file:
        os.fsync(file.fileno())
    rename_file(unfinished, path)


def rename_file(old: Path, new: Path) -> None:
    """Rename a file inside its directory.  Its contents are on stable storage already."""
    old.rename(new)
    fsync_directory(new.parent)


def remove_files(paths: Iterable[Path]) -> None:
    """Remove files; those that do not exist are no error."""
    parents: set[Path] = set()
    for path in paths:
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        parents.add(path.parent)
    for parent in parents:
        fsync_directory(parent)


def fsync_directory(path: Path) -> None:
    """Write the entries of the directory to stable storage."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
