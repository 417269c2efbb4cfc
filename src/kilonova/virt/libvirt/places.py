# SPDX-License-Identifier: Apache-2.0
"""Files and directories with the mode that they need, whatever the umask.  Everything here blocks."""

import os
from pathlib import Path


def make_directory(path: Path, mode: int) -> bool:
    """It is there, and those above it; each that is made now has this mode.  Whether it was made."""
    if path.is_dir():
        return False
    make_parents = not path.parent.is_dir()
    if make_parents:
        make_directory(path.parent, mode)
    try:
        path.mkdir()
    except FileExistsError:
        if path.is_dir():
            return False  # somebody was quicker
        raise
    path.chmod(mode)
    return True


def replace_file(path: Path, contents: bytes, *, directory_mode: int) -> None:
    """The file holds `contents` and is for its owner alone; at each moment it is the old one or the new one."""
    make_directory(path.parent, directory_mode)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
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
