# SPDX-License-Identifier: Apache-2.0
"""Files and directories with the mode that they need, whatever the umask.  Everything here blocks."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

PASSABLE = 0o711
"""Others may pass through it, as QEMU's user must, but not look into it."""


def make_directory(path: Path, mode: int = PASSABLE) -> bool:
    """It is there.  When it is made now it has this mode, and those above it that are made with it are PASSABLE.
    Whether it was made."""
    if path.is_dir():
        return False
    if not path.parent.is_dir():
        make_directory(path.parent)
    try:
        path.mkdir()
    except FileExistsError:
        if path.is_dir():
            return False  # somebody was quicker
        raise
    path.chmod(mode)
    return True


def make_file(path: Path) -> None:
    """An empty file for its owner alone, in the place of what was there: what writes to it need not make files."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def open_plain(path: Path | str) -> BinaryIO:
    """To be read: a plain file and nothing else.  What stands in a guest's directory may have been put there by its
    QEMU: a link, say, to what only we may read.  Raises OSError."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    return file


def replace_file(path: Path, contents: bytes, *, directory_mode: int) -> None:
    """The file holds `contents` and is for its owner alone; at each moment it is the old one or the new one."""
    make_directory(path.parent, directory_mode)
    unfinished = path.with_name(f"{path.name}.unfinished")
    make_file(unfinished)
    with unfinished.open("wb") as file:
        file.write(contents)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    fsync_directory(path.parent)


def fsync_directory(path: Path) -> None:
    """Entries of the directory are on stable storage."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
